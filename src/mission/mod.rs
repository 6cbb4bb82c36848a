//! Mission Control's service functions, typed.
