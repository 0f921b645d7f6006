//! Service registration and discovery: the file registry.
