//! What the rest of the house sees of HTTP: plain requests and replies.
