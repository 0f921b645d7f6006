//! Recording and alerting rules over PromQL.
