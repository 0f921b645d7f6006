//! Segmented, checksummed, fsynced append log: the write-ahead log of every store.
