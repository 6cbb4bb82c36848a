//! The reasons to refuse a request.

/// One variant per reason. Each refusal closes the connection, since the following bytes may not be a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A line feed without carriage return, or the reverse.
    LineEnd,
    /// A control character in the head.
    Control,
    /// Not of the form `METHOD target HTTP/1.1`.
    RequestLine,
    /// A target that is neither a path, nor `*`, nor an absolute address.
    Target,
    /// A target longer than the limit.
    TargetTooLong,
    /// An unsupported HTTP version.
    Version,
    /// `CONNECT`: the server is not a proxy.
    Tunnel,
    /// A malformed header line.
    HeaderLine,
    /// A head over the size limit.
    HeadTooLarge,
    /// More headers than the limit allows.
    TooManyHeaders,
    /// No `Host`, several, or an invalid one.
    Host,
    /// `Content-Length` and `Transfer-Encoding` together.
    LengthAndCoding,
    /// More than one `Content-Length`.
    LengthTwice,
    /// A `Content-Length` that is not a number.
    Length,
    /// More than one `Transfer-Encoding`.
    CodingTwice,
    /// `Transfer-Encoding` from an HTTP/1.0 client.
    CodingTooNew,
    /// A `Transfer-Encoding` other than `chunked`.
    Coding,
    /// An `Expect` other than `100-continue`.
    Expectation,
    /// A body larger than the limit.
    BodyTooLarge,
    /// A malformed chunk size.
    ChunkSize,
    /// A chunk longer or shorter than announced.
    ChunkEnd,
    /// A malformed or too long trailer.
    Trailer,
    /// The request bodies in memory exceed the limit.
    BodiesInFlight,
    /// The head did not arrive in time.
    HeadSlow,
    /// The body did not arrive in time.
    BodySlow,
    /// Requests in progress take every connection.
    Full,
    /// The replies that wait for their clients exceed the limit.
    Unread,
}

impl Refusal {
    /// The status of the reply.
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

    /// The sentence in the reply.
    pub(super) fn explain(self) -> &'static str {
        match self {
            Self::LineEnd => "Lines must end with carriage return and line feed",
            Self::Control => "Control character in the request head",
            Self::RequestLine => "Malformed request line",
            Self::Target => "Malformed request target",
            Self::TargetTooLong => "Request target too long",
            Self::Version => "Only HTTP/1.1 and HTTP/1.0 are supported",
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
            Self::Unread => "Too many replies wait for their clients",
        }
    }
}
