//! Why a request is not handed on.

/// One reason each; all of them close the connection, since what follows cannot be trusted to be a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A line feed without carriage return, or the other way round.
    LineEnd,
    /// A control character in the head.
    Control,
    /// No `METHOD target HTTP/1.1`.
    RequestLine,
    /// A target that is neither a path, nor `*`, nor an address.
    Target,
    /// A target longer than the limit.
    TargetTooLong,
    /// A version we do not speak.
    Version,
    /// `CONNECT`: we are no proxy.
    Tunnel,
    /// A header line that is none.
    HeaderLine,
    /// More head than the limit.
    HeadTooLarge,
    /// More headers than the limit.
    TooManyHeaders,
    /// No `Host`, several, or one that is no host.
    Host,
    /// `Content-Length` and `Transfer-Encoding` together.
    LengthAndCoding,
    /// More than one `Content-Length`.
    LengthTwice,
    /// A `Content-Length` that is no number.
    Length,
    /// More than one `Transfer-Encoding`.
    CodingTwice,
    /// `Transfer-Encoding` from a client that says it is older than that.
    CodingTooNew,
    /// A `Transfer-Encoding` other than `chunked`.
    Coding,
    /// An `Expect` other than `100-continue`.
    Expectation,
    /// A body larger than the limit.
    BodyTooLarge,
    /// A chunk size that is none.
    ChunkSize,
    /// A chunk that is longer or shorter than it said.
    ChunkEnd,
    /// Lines after the last chunk that are no headers, or too many.
    Trailer,
    /// Too many bodies held at once.
    BodiesInFlight,
    /// The head did not arrive in time.
    HeadSlow,
    /// The body did not arrive in time.
    BodySlow,
    /// Every connection is taken by a request in progress.
    Full,
    /// Too many bytes of answers wait for their clients.
    Unread,
}

impl Refusal {
    /// The status it is answered with.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::LineEnd
            | Self::Control
            | Self::RequestLine
            | Self::Target
            | Self::HeaderLine
            | Self::Host
            | Self::LengthAndCoding
            | Self::LengthTwice
            | Self::Length
            | Self::CodingTwice
            | Self::CodingTooNew
            | Self::ChunkSize
            | Self::ChunkEnd
            | Self::Trailer => 400,
            Self::HeadSlow | Self::BodySlow => 408,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::Expectation => 417,
            Self::HeadTooLarge | Self::TooManyHeaders => 431,
            Self::Tunnel | Self::Coding => 501,
            Self::BodiesInFlight | Self::Full | Self::Unread => 503,
            Self::Version => 505,
        }
    }

    /// The sentence the client is told.
    pub(super) fn explain(self) -> &'static str {
        match self {
            Self::LineEnd => "Lines must end with carriage return and line feed",
            Self::Control => "Control character in the request head",
            Self::RequestLine => "Malformed request line",
            Self::Target => "Malformed request target",
            Self::TargetTooLong => "Request target too long",
            Self::Version => "Only HTTP/1.1 and HTTP/1.0 are spoken here",
            Self::Tunnel => "CONNECT is not supported",
            Self::HeaderLine => "Malformed header",
            Self::HeadTooLarge => "Request head too large",
            Self::TooManyHeaders => "Too many headers",
            Self::Host => "Exactly one valid Host header is required",
            Self::LengthAndCoding => "Content-Length and Transfer-Encoding exclude each other",
            Self::LengthTwice => "More than one Content-Length",
            Self::Length => "Content-Length must be a number",
            Self::CodingTwice => "More than one Transfer-Encoding",
            Self::CodingTooNew => "Transfer-Encoding needs HTTP/1.1",
            Self::Coding => "Only the chunked transfer coding is supported",
            Self::Expectation => "Only 100-continue can be expected",
            Self::BodyTooLarge => "Request body too large",
            Self::ChunkSize => "Malformed chunk size",
            Self::ChunkEnd => "Chunk does not end where it should",
            Self::Trailer => "Malformed or too long trailer",
            Self::BodiesInFlight => "Too many request bodies at once",
            Self::HeadSlow => "Request head did not arrive in time",
            Self::BodySlow => "Request body did not arrive in time",
            Self::Full => "Too many connections",
            Self::Unread => "Too many answers wait for their clients",
        }
    }
}
