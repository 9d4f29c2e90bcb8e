package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
)

// maxMessage bounds one server-sent event in bytes: the largest event and what is around it.
const maxMessage = 2 * event.MaxSize

var errTooLong = fmt.Errorf("a message of the stream is longer than %d bytes", maxMessage)

// message is one dispatched server-sent event.
type message struct {
	id   string // last id of the stream so far, not only of this message
	name string // "message" when the stream gave none
	data string
}

// sse reads the text/event-stream format of the HTML standard.
type sse struct {
	lines   *bufio.Scanner
	id      string        // of the last message that came whole, with data or without
	pending string        // of the message that is being read
	retry   time.Duration // as the stream last asked for; 0: it did not
}

// newSSE reads a stream that goes on after the message with the given id.
func newSSE(r io.Reader, id string) *sse {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), maxMessage)
	lines.Split(splitLines())
	return &sse{lines: lines, id: id, pending: id}
}

// next is the next message; io.EOF when the stream ends, with what was not dispatched by then
// dropped, as the standard says.
func (s *sse) next() (message, error) {
	var name string
	var data []byte
	var has bool
	for s.lines.Scan() {
		line := s.lines.Bytes()
		if len(line) == 0 {
			s.id = s.pending
			if !has {
				name = ""
				continue
			}
			return message{id: s.id, name: orMessage(name), data: string(data[:len(data)-1])}, nil
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			name = string(value)
		case "data":
			if has = true; len(data)+len(value) >= maxMessage {
				return message{}, errTooLong
			}
			data = append(append(data, value...), '\n')
		default:
			s.control(string(field), string(value))
		}
	}
	err := s.lines.Err()
	switch {
	case err == nil:
		return message{}, io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		return message{}, errTooLong
	}
	return message{}, err
}

// control takes the fields that concern the stream and not one message. Unknown ones, and comments,
// are ignored.
func (s *sse) control(field, value string) {
	switch field {
	case "id":
		if !strings.Contains(value, "\x00") {
			s.pending = value
		}
	case "retry":
		if ms, err := strconv.ParseUint(value, 10, 31); err == nil {
			s.retry = time.Duration(ms) * time.Millisecond
		}
	}
}

func orMessage(name string) string {
	if name == "" {
		return "message"
	}
	return name
}

// splitLines splits at LF, CRLF and CR, without waiting after a CR for what follows, and drops a
// byte order mark at the start.
func splitLines() bufio.SplitFunc {
	started, afterCR := false, false
	return func(data []byte, atEOF bool) (int, []byte, error) {
		skip := 0
		if !started {
			if len(data) < 3 && !atEOF && bytes.HasPrefix([]byte("\xef\xbb\xbf"), data) {
				return 0, nil, nil
			}
			started = true
			if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
				skip = 3
			}
		}
		if afterCR && len(data) > 0 {
			afterCR = false
			if data[0] == '\n' {
				skip = 1
			}
		}
		end := bytes.IndexAny(data[skip:], "\r\n")
		if end < 0 {
			return skip, nil, nil // a line without an end is dropped at the end of the stream
		}
		afterCR = data[skip+end] == '\r'
		return skip + end + 1, data[skip : skip+end], nil
	}
}
