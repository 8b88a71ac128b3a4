//! Topologies: their checks, and what becomes of them on the topics there are.
