// Package wire reads JSON objects several times as fast as encoding/json does, for what arrives by
// the million: the envelopes of events and their small payloads. It takes plain JSON only. Where it
// meets anything else, right or wrong, it says so, and the caller decodes with encoding/json, which
// decides.
package wire

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep values may be nested before the caller has to use encoding/json.
const maxDepth = 64

// Members calls fn for every member of the object that data is, in its order. key and value are
// parts of data; value is one valid JSON value without the space around it. It returns false when
// data is not plain JSON, or as soon as fn does: what fn has stored by then counts for nothing.
func Members(data []byte, fn func(key, value []byte) bool) bool {
	s := scanner{data: data}
	s.space()
	if !s.members(0, fn) {
		return false
	}
	s.space()
	return s.at == len(data)
}

// Elements calls fn for every element of the array that data is, as Members does for members.
func Elements(data []byte, fn func(value []byte) bool) bool {
	s := scanner{data: data}
	s.space()
	if !s.elements(0, fn) {
		return false
	}
	s.space()
	return s.at == len(data)
}

// Text is the string that a value of Members or Elements is; false when it is none, or has escapes.
func Text(value []byte) (string, bool) {
	text, ok := Bytes(value)
	return string(text), ok
}

// Bytes is Text without a copy: a part of value.
func Bytes(value []byte) ([]byte, bool) {
	if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return nil, false
	}
	return value[1 : len(value)-1], true
}

// Texts takes strings out of values, several into one piece of memory: they share it for as long as
// one of them is in use. Its zero value is ready; it is not to be copied.
type Texts struct{ into strings.Builder }

// piece has room for the texts of most messages.
const piece = 256

// Take stores the string that a value of Members or Elements is; false when it is none, or has
// escapes.
func (t *Texts) Take(value []byte, text *string) bool {
	value, ok := Bytes(value)
	if !ok {
		return false
	}
	if t.into.Cap()-t.into.Len() < len(value) {
		t.into = strings.Builder{}
		t.into.Grow(max(piece, len(value)))
	}
	t.into.Write(value) // never fails
	all := t.into.String()
	*text = all[len(all)-len(value):]
	return true
}

// Int is the integer that a value is; false when it is none, or does not fit.
func Int(value []byte) (int32, bool) {
	digits, negative := value, false
	if len(value) > 0 && value[0] == '-' {
		digits, negative = value[1:], true
	}
	if len(digits) == 0 || len(digits) > 9 {
		return 0, false
	}
	var n int32
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int32(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

type scanner struct {
	data []byte
	at   int
}

func (s *scanner) space() {
	if s.at < len(s.data) && s.data[s.at] <= ' ' { // hardly ever
		s.skip()
	}
}

func (s *scanner) skip() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// take moves past the byte when it is the next one.
func (s *scanner) take(c byte) bool {
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) members(depth int, fn func(key, value []byte) bool) bool {
	if depth > maxDepth || !s.take('{') {
		return false
	}
	s.space()
	if s.take('}') {
		return true
	}
	for {
		key := s.at
		if !s.text() {
			return false
		}
		end := s.at
		s.space()
		if !s.take(':') {
			return false
		}
		s.space()
		value := s.at
		if !s.value(depth) || fn != nil && !fn(s.data[key+1:end-1], s.data[value:s.at]) {
			return false
		}
		s.space()
		if !s.take(',') {
			return s.take('}')
		}
		s.space()
	}
}

func (s *scanner) elements(depth int, fn func(value []byte) bool) bool {
	if depth > maxDepth || !s.take('[') {
		return false
	}
	s.space()
	if s.take(']') {
		return true
	}
	for {
		value := s.at
		if !s.value(depth) || fn != nil && !fn(s.data[value:s.at]) {
			return false
		}
		s.space()
		if !s.take(',') {
			return s.take(']')
		}
		s.space()
	}
}

// value moves past one value.
func (s *scanner) value(depth int) bool {
	if s.at >= len(s.data) {
		return false
	}
	switch s.data[s.at] {
	case '"':
		return s.text()
	case '{':
		return s.members(depth+1, nil)
	case '[':
		return s.elements(depth+1, nil)
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) word(w string) bool {
	if len(s.data)-s.at < len(w) || string(s.data[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

// text moves past a string of valid UTF-8 whose escapes are those of JSON.
func (s *scanner) text() bool {
	if !s.take('"') {
		return false
	}
	begin, ascii := s.at, true
	for {
		s.at += plain(s.data[s.at:])
		if s.at >= len(s.data) {
			return false
		}
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return ascii || utf8.Valid(s.data[begin:s.at-1])
		case c >= utf8.RuneSelf:
			ascii = false
		case c != '\\' || !s.escape():
			return false
		}
		s.at++
	}
}

// Eight bytes at a time: ones has a one in each, tops the highest bit of each.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// plain counts the bytes that stand for themselves in a string, up to the first that does not:
// a quote, a backslash, a control character, or what is not ASCII. In each lane of eight, x-n
// borrows where x is less than n, and x^n is zero where x is n. A borrow can only spoil the lanes
// above the first one found.
func plain(data []byte) (n int) {
	for ; len(data)-n >= 8; n += 8 {
		x := binary.LittleEndian.Uint64(data[n:])
		quote, backslash := x^ones*'"', x^ones*'\\'
		if found := ((x-ones*' ')&^x | (quote-ones)&^quote | (backslash-ones)&^backslash | x) & tops; found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for ; n < len(data); n++ {
		if c := data[n]; c == '"' || c == '\\' || c < ' ' || c >= utf8.RuneSelf {
			return n
		}
	}
	return n
}

// escape moves to the last byte of an escape.
func (s *scanner) escape() bool {
	s.at++
	if s.at >= len(s.data) {
		return false
	}
	switch s.data[s.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			s.at++
			if s.at >= len(s.data) || !hex(s.data[s.at]) {
				return false
			}
		}
		return true
	}
	return false
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// number moves past a number, which has no leading zeros.
func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && s.digits() == 0 {
		return false
	}
	if s.take('.') && s.digits() == 0 {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits() > 0
	}
	return true
}

func (s *scanner) digits() (n int) {
	for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
		s.at++
		n++
	}
	return n
}
