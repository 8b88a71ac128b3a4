//! Tests of the coordinator in virtual time.
