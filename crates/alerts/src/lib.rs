//! Groups alerts and delivers them (webhook).
