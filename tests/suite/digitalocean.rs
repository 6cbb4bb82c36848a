//! DigitalOcean: the client, the steps of a request and the command, against a stateful double of the API. The double was
//! written from what is known of the API, keeps its own book of what exists and costs money, and has a clock of its own.

/// Droplets of the double: their creation, their actions, their end.
mod api_droplets;
/// Tags, firewalls and the price list of the double.
mod api_lists;
/// Each operation of the client.
mod client;
/// The double of the API: its book, faults and answers.
mod cloud;
/// The commands `provision` and `bootstrap`.
mod command;
/// The embedded Mission Control with this provider, from a request for a machine to its end.
mod control_plane;
/// Seeded runs with a crash at every step.
mod crashes;
/// Bad input: each is a sentence, and nothing costs money that is not shown.
mod refusals;
/// The client and the double in one process, with the double's clock.
mod simulated;
