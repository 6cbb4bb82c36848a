//! The words of the domain: what Mission Control and the gateway call things.

mod base_url;

pub use base_url::{BadUrl, BaseUrl};
