//! An embedded Mission Control: the real backend's behaviour on any machine.
//!
//! A request comes in over the HTTP server ([`http_api`]), names a function of the catalogue (`catalog`), has its
//! arguments held against that function's list (`validate`), and runs as one transaction of the `store`. What it
//! changes follows the rules of the contract, which stand once each (`rules`) and serve agents (`service`) and
//! people (`human`) alike. Where the original has a defect that the contract lets a stand-in mend, it is mended,
//! unless [`Options::original`] asks for it as it was.
//!
//! Around it stands the house: a directory with the database and three secrets (`data`), a vault for providers' keys
//! whose master key is not in the database (`vault`, `keys`), copies of the whole (`export`), and a demo to begin
//! with (`seed`).

mod account_setup;
mod answer;
mod auth;
mod call;
mod catalog;
mod data;
mod engine;
mod export;
mod function;
pub mod http_api;
mod human;
mod imported;
mod keys;
mod logins;
mod maintenance;
mod number;
mod raw_rows;
pub mod refusals;
mod rows;
mod rules;
mod seed;
mod service;
mod store;
mod validate;
mod vault;

pub use account_setup::Owner;
pub use answer::Refusal;
pub use call::Options;
pub use data::{Data, DataError, Opening, Seed, Whereabouts};
pub use engine::{Caller, Engine};
pub use function::Kind;
pub use keys::KeyError;
pub use store::StoreError;
pub use vault::{MasterKey, SealContext, Sealed, Vault, VaultError};
