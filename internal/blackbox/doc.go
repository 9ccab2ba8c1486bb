// Package blackbox tests the program as its users have it: it builds the
// binary, runs processes on loopback, asks them over HTTP, kills them, stops
// them, takes their disks away and cuts their links. It knows nothing of their
// insides but the form of the data files, which it damages for verify to
// notice.
//
// Every test draws from a seed that it prints when it fails; run it again with
// BLACKBOX_SEED set to that.
package blackbox
