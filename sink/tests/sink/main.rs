//! sink tests
