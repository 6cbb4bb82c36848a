//! (see the index)
