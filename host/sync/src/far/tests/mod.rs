//! Far ends against real servers, and against servers on loopback that lie.
