//! The wake query: the client against scripted servers and against the embedded Mission Control, the server against raw
//! frames, and the whole program.

mod client;
mod installed_file;
mod peer;
mod server;
mod subscription;
