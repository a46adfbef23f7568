// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package containerd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	logSize    = 50 << 20
	logBackups = 3
)

// rotatingLog writes to a file and keeps the last few of them: log, log.1, log.2, log.3.
type rotatingLog struct {
	path string
	file *os.File
	size int64
}

func openLog(path string) (*rotatingLog, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	l := &rotatingLog{path: path}
	return l, l.open()
}

func (l *rotatingLog) open() error {
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	facts, err := file.Stat()
	if err != nil {
		return err
	}
	l.file, l.size = file, facts.Size()
	return nil
}

// Write appends. What cannot be written is dropped, not reported: a full disk must not block the runtime's own pipe.
func (l *rotatingLog) Write(data []byte) (int, error) {
	if l.size+int64(len(data)) > logSize {
		_ = l.file.Close()
		for number := logBackups; number > 0; number-- {
			older := l.path
			if number > 1 {
				older = fmt.Sprintf("%s.%d", l.path, number-1)
			}
			_ = os.Rename(older, fmt.Sprintf("%s.%d", l.path, number))
		}
		if err := l.open(); err != nil {
			return len(data), nil
		}
	}
	written, _ := l.file.Write(data)
	l.size += int64(written)
	return len(data), nil
}

// pipe gives the end that a child writes to; what it writes reaches the log until the child is gone.
func (l *rotatingLog) pipe() (*os.File, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		_, _ = io.Copy(l, reader)
		reader.Close()
		l.file.Close()
	}()
	return writer, nil
}
