package view

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"unique"
)

// ErrCheckpoint is wrapped by Load for what Save of this version did not write whole.
var ErrCheckpoint = errors.New("not a whole checkpoint of this version of the view")

// coder writes a checkpoint or reads one: a single description of the format serves both ways, so
// that the two cannot come apart. Reading stops at the first error and leaves zero values from
// there on; writing changes nothing of what it is given.
type coder struct {
	reading bool
	data    []byte // what was written and not flushed, or what is left to read
	err     error

	texts      table[string]
	origins    table[origin]
	said       table[said]
	places     table[place]
	registered table[registered]
	conditions table[conditionText]
}

func (c *coder) fail() {
	if c.err == nil {
		c.err = ErrCheckpoint
	}
	c.data = nil
}

// uint is a number that is small most of the time.
func (c *coder) uint(v *uint64) {
	if !c.reading {
		c.data = binary.AppendUvarint(c.data, *v)
		return
	}
	n, size := binary.Uvarint(c.data)
	if size <= 0 {
		c.fail()
		n, size = 0, 0
	}
	*v, c.data = n, c.data[size:]
}

// hash is a number of which every value is as likely.
func (c *coder) hash(v *uint64) {
	if !c.reading {
		c.data = binary.LittleEndian.AppendUint64(c.data, *v)
		return
	}
	if len(c.data) < 8 {
		c.fail()
		*v = 0
		return
	}
	*v, c.data = binary.LittleEndian.Uint64(c.data), c.data[8:]
}

// number is any signed number, by its type.
func number[T ~int | ~int32 | ~int64](c *coder, v *T) {
	if !c.reading {
		c.data = binary.AppendVarint(c.data, int64(*v))
		return
	}
	n, size := binary.Varint(c.data)
	if size <= 0 {
		c.fail()
		n, size = 0, 0
	}
	*v, c.data = T(n), c.data[size:]
}

func (c *coder) flag(v *bool) {
	n := 0
	if *v {
		n = 1
	}
	if number(c, &n); c.reading {
		*v = n != 0
	}
}

// length is that of something whose parts take at least a byte each.
func (c *coder) length(n int) int {
	v := uint64(n)
	if c.uint(&v); v > uint64(len(c.data)) && c.reading {
		c.fail()
		return 0
	}
	return int(v)
}

func str[T ~string](c *coder, v *T) {
	n := c.length(len(*v))
	if !c.reading {
		c.data = append(c.data, *v...)
		return
	}
	*v, c.data = T(c.data[:n]), c.data[n:]
}

// json is for what is rare and has many fields.
func (c *coder) json(v any) {
	var data string
	if !c.reading {
		raw, err := json.Marshal(v)
		c.err = cmp.Or(c.err, err)
		data = string(raw)
	}
	if str(c, &data); c.reading && c.err == nil && json.Unmarshal([]byte(data), v) != nil {
		c.fail()
	}
}

func list[T any](c *coder, v *[]T, each func(*coder, *T)) {
	n := c.length(len(*v))
	if c.reading && n > 0 {
		*v = make([]T, n)
	}
	for i := range n {
		if each(c, &(*v)[i]); c.err != nil {
			return
		}
	}
}

// made is for what is behind a pointer that is never nil.
func made[T any](each func(*coder, *T)) func(*coder, **T) {
	return func(c *coder, v **T) {
		if c.reading {
			*v = new(T)
		}
		each(c, *v)
	}
}

// pointer is for what may be nil.
func pointer[T any](c *coder, v **T, each func(*coder, *T)) {
	there := *v != nil
	if c.flag(&there); !there {
		return
	}
	if c.reading {
		*v = new(T)
	}
	each(c, *v)
}

// dict is ordered by key, so that equal views have equal checkpoints.
func dict[V any](c *coder, v *map[string]V, each func(*coder, *V)) {
	keys := slices.Sorted(maps.Keys(*v))
	list(c, &keys, str[string])
	if c.reading && len(keys) > 0 {
		*v = make(map[string]V, len(keys))
	}
	for _, key := range keys {
		value := (*v)[key]
		if each(c, &value); c.reading {
			(*v)[key] = value
		}
	}
}

// must is a handle that is never the zero one.
func must[T comparable](c *coder, t *table[T], v *unique.Handle[T], each func(*coder, *T)) {
	if handle(c, t, v, each); *v == (unique.Handle[T]{}) {
		c.fail()
	}
}

// table has what is repeated, by the order in which it came: it is written where it comes first.
type table[T comparable] struct {
	index  map[unique.Handle[T]]uint64
	values []unique.Handle[T]
}

func handle[T comparable](c *coder, t *table[T], v *unique.Handle[T], each func(*coder, *T)) {
	var none unique.Handle[T]
	n := t.index[*v]
	fresh := n == 0 && *v != none
	if fresh {
		n = uint64(len(t.index)) + 1
	}
	c.uint(&n)
	switch {
	case !c.reading && fresh:
		if t.index == nil {
			t.index = map[unique.Handle[T]]uint64{}
		}
		t.index[*v] = n
		value := v.Value()
		each(c, &value)
	case !c.reading || n == 0:
	case n <= uint64(len(t.values)):
		*v = t.values[n-1]
	case n == uint64(len(t.values))+1:
		var value T
		each(c, &value)
		*v = unique.Make(value)
		t.values = append(t.values, *v)
	default:
		c.fail()
	}
}
