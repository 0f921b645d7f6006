//! PromQL: lexer, parser with positions, vectorised engine.
