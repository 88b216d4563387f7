//! Sessions over HTTP, without a network.
