//! Nothing. To build an example makes cargo choose the features of dependencies as for tests, so that what the chores, the
//! binary and the tests share is compiled once.

fn main() {}
