// Package logfile appends to log files that other processes append to as well, and moves them
// aside when they are large or old. No line is lost or torn, neither over two files nor between
// two processes, nor when one of them is killed at any moment.
//
// All that processes agree on is a lock (flock) on the log file itself, which the kernel takes back
// from who dies:
//
//   - Who writes locks the file that it has open, looks whether the name still leads there, and only
//     then appends. Where the name leads elsewhere, it opens that and begins again.
//   - Who moves the file aside does so under the same lock, by one rename. There is no moment at which
//     more than that would be half done, and from then on nobody appends to it any more: it may be
//     compressed, by whoever is first.
//
// What is no ordinary file, such as a named pipe or /dev/stdout, is only written to.
package logfile
