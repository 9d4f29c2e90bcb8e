// Package process runs the processes of one bench run and makes sure that none outlives it.
//
// Everything of a run is in one folder:
//
//	<run>/logs/<name>.log   what each process wrote
//	<run>/pids.json         who runs: pid and start time of the supervisor and of every process
//
// A process dies with its supervisor in three ways: Stop ends all; the kernel kills the children of
// a supervisor that was killed; and StopRecorded, called by anybody later, ends what is left.
package process
