//! The sticky task assignor: what it gives in plain cases, and its rules on random groups.
