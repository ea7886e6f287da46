"""One collection: writes, reads, group commit, compaction, index builds."""
