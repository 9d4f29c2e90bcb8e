// Package history keeps every event of the stream in SQLite and answers by time: what changed since
// a moment, everything around a moment on one clock, the fleet as it was at a moment, and what ended
// the same failure elsewhere.
//
// A row is written in one transaction with the stream position that it comes from, so that a crash
// neither loses nor repeats one. A cluster's event is known by (cluster, epoch, sequence): however
// often the stream delivers it, it is one row. The platform's own events have neither and are known
// by their place in the stream.
//
// What queries select by stands in narrow rows of small integers, in one B-tree that is ordered by
// team and time; the events themselves stand in compressed blocks beside it, as they were published.
// docs/history.md has the whole picture.
package history
