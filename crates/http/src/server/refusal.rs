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
            Self::LineEnd => "Invalid line end in the request head: end each line with CR LF",
            Self::Control => "Control character in the request head: remove it",
            Self::RequestLine => "Malformed request line: send METHOD PATH HTTP/1.1",
            Self::Target => "Malformed request target: send an absolute path, percent-encoded",
            Self::TargetTooLong => "Request target too long: shorten it, or send the values in the body",
            Self::Version => "Unsupported HTTP version: use HTTP/1.1",
            Self::Tunnel => {
                "CONNECT is not supported: this server is not a proxy; request its paths directly"
            }
            Self::HeaderLine => "Malformed header: send NAME: VALUE, one per line",
            Self::HeadTooLarge => "Request head too large: send fewer or shorter headers",
            Self::TooManyHeaders => "Too many headers: send fewer",
            Self::Host => "Missing, repeated or invalid Host header: send exactly one",
            Self::LengthAndCoding => {
                "Content-Length and Transfer-Encoding exclude each other: send only one of them"
            }
            Self::LengthTwice => "More than one Content-Length: send it once",
            Self::Length => "Content-Length is not a number: send the length of the body in bytes",
            Self::CodingTwice => "More than one Transfer-Encoding: send it once",
            Self::CodingTooNew => "Transfer-Encoding needs HTTP/1.1: use HTTP/1.1, or send Content-Length",
            Self::Coding => "Unsupported transfer coding: use chunked, or send Content-Length",
            Self::Expectation => "Unsupported Expect header: send 100-continue, or omit the header",
            Self::BodyTooLarge => "Request body too large",
            Self::ChunkSize => "Malformed chunk size: send a hexadecimal number and CR LF",
            Self::ChunkEnd => "A chunk is longer or shorter than its size: correct the size",
            Self::Trailer => "Malformed or too long trailer: send none",
            Self::BodiesInFlight => "Too many request bodies at once: retry in a few seconds",
            Self::HeadSlow => "Request head did not arrive in time: send the request again, without pauses",
            Self::BodySlow => "Request body did not arrive in time: send the request again, without pauses",
            Self::Full => "Too many connections: close some, or retry in a few seconds",
            Self::Unread => {
                "Too many replies wait for their clients: read earlier replies first, or retry in a few seconds"
            }
        }
    }
}
