//! Request context that survives await, spawn and the wire.
