//! The Vltava broker as a library.
