// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package title changes what process lists show of this process, so that tokens given as flags leave them.
package title

import (
	"os"
	"strings"
	"unsafe"
)

// Set overwrites the memory of the argument vector, which is what /proc/PID/cmdline shows. The program's own copy of
// the arguments is made independent of that memory first. A title longer than the arguments were is cut.
func Set(title string) {
	area := argumentMemory(os.Args)
	if len(area) == 0 {
		return
	}
	for index, argument := range os.Args {
		os.Args[index] = strings.Clone(argument)
	}
	// The last byte stays zero: without it, the kernel would show the environment too.
	written := copy(area[:len(area)-1], title)
	clear(area[written:])
}

// argumentMemory finds the block in which the kernel laid the arguments, one after the other with a zero byte between.
func argumentMemory(arguments []string) []byte {
	if len(arguments) == 0 || len(arguments[0]) == 0 {
		return nil
	}
	start := unsafe.StringData(arguments[0])
	length := 0
	for _, argument := range arguments {
		if len(argument) > 0 && unsafe.StringData(argument) != (*byte)(unsafe.Add(unsafe.Pointer(start), length)) {
			return nil
		}
		length += len(argument) + 1
	}
	return unsafe.Slice(start, length)
}
