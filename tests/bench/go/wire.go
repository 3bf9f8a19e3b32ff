// Frames of the board link, as native/wire_py.py defines them: "wire_go FILE encode" or "wire_go FILE decode".
// FILE holds frames as ../wire_frames.py makes them, all with the payload of message.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"unicode/utf8"
)

const (
	headerSize  = 14
	crcSize     = 4
	maxContent  = 127
	maxPayload  = 108
	unsigned    = 0x00
	negative    = 0x20
	byteString  = 0x40
	text        = 0x60
	array       = 0x80
	isFalse     = 0xf4
	isTrue      = 0xf5
	isNull      = 0xf6
	payloadSize = 8
)

var errFrame = errors.New("not a frame")

var sent []byte // the frame just made, kept so that making it cannot be left out

// message is the payload: an array with these at fixed positions.
type message struct {
	trip, count, drift int64
	armed              bool
	nothing            struct{}
	token              []byte
	cause              string
	uptime             int64
}

type frame struct {
	kind, version uint8
	session       uint32
	seq, ack      uint16
	ms            uint32
	message       message
}

func appendHead(to []byte, major byte, number uint64) []byte {
	switch {
	case number < 24:
		return append(to, major|byte(number))
	case number < 1<<8:
		return append(to, major|24, byte(number))
	case number < 1<<16:
		return binary.BigEndian.AppendUint16(append(to, major|25), uint16(number))
	case number < 1<<32:
		return binary.BigEndian.AppendUint32(append(to, major|26), uint32(number))
	}
	return binary.BigEndian.AppendUint64(append(to, major|27), number)
}

func appendInt(to []byte, value int64) []byte {
	if value < 0 {
		return appendHead(to, negative, uint64(-1-value))
	}
	return appendHead(to, unsigned, uint64(value))
}

func (m *message) append(to []byte) []byte {
	to = appendHead(to, array, payloadSize)
	to = appendInt(appendInt(appendInt(to, m.trip), m.count), m.drift)
	if m.armed {
		to = append(to, isTrue)
	} else {
		to = append(to, isFalse)
	}
	to = append(to, isNull)
	to = append(appendHead(to, byteString, uint64(len(m.token))), m.token...)
	to = append(appendHead(to, text, uint64(len(m.cause))), m.cause...)
	return appendInt(to, m.uptime)
}

// encode returns a fresh slice with the closing zero.
func (f *frame) encode() ([]byte, error) {
	var space [maxContent + 1]byte
	raw := append(space[:0], f.kind, f.version)
	raw = binary.BigEndian.AppendUint32(raw, f.session)
	raw = binary.BigEndian.AppendUint16(raw, f.seq)
	raw = binary.BigEndian.AppendUint16(raw, f.ack)
	raw = binary.BigEndian.AppendUint32(raw, f.ms)
	raw = f.message.append(raw)
	if len(raw) > headerSize+maxPayload {
		return nil, errFrame
	}
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	out := make([]byte, 1, len(raw)+2)
	code := 0
	for _, b := range raw {
		if b == 0 {
			out[code] = byte(len(out) - code)
			code = len(out)
		}
		out = append(out, b)
	}
	out[code] = byte(len(out) - code)
	return append(out, 0), nil
}

// take reads one item's first byte and number.
func take(data []byte) (major byte, number uint64, rest []byte, err error) {
	if len(data) == 0 {
		return 0, 0, nil, errFrame
	}
	first := data[0]
	major, number, rest = first&0xe0, uint64(first&31), data[1:]
	if number < 24 {
		return major, number, rest, nil
	}
	size := 1 << (number - 24)
	if number > 27 || len(rest) < size {
		return 0, 0, nil, errFrame
	}
	least := uint64(24)
	switch size {
	case 1:
		number = uint64(rest[0])
	case 2:
		number, least = uint64(binary.BigEndian.Uint16(rest)), 1<<8
	case 4:
		number, least = uint64(binary.BigEndian.Uint32(rest)), 1<<16
	default:
		number, least = binary.BigEndian.Uint64(rest), 1<<32
	}
	if number < least {
		return 0, 0, nil, errFrame
	}
	return major, number, rest[size:], nil
}

func takeInt(data []byte) (int64, []byte, error) {
	major, number, rest, err := take(data)
	switch {
	case err != nil || number > 1<<63-1:
	case major == unsigned:
		return int64(number), rest, nil
	case major == negative:
		return -1 - int64(number), rest, nil
	}
	return 0, nil, errFrame
}

func takeBytes(data []byte, wanted byte) ([]byte, []byte, error) {
	major, size, rest, err := take(data)
	if err != nil || major != wanted || size > uint64(len(rest)) {
		return nil, nil, errFrame
	}
	return rest[:size], rest[size:], nil
}

func (m *message) parse(data []byte) error {
	major, size, data, err := take(data)
	if err != nil || major != array || size != payloadSize {
		return errFrame
	}
	if m.trip, data, err = takeInt(data); err != nil {
		return err
	}
	if m.count, data, err = takeInt(data); err != nil {
		return err
	}
	if m.drift, data, err = takeInt(data); err != nil {
		return err
	}
	if len(data) < 2 || data[0]|1 != isTrue || data[1] != isNull {
		return errFrame
	}
	m.armed = data[0] == isTrue
	token, data, err := takeBytes(data[2:], byteString)
	if err != nil {
		return err
	}
	m.token = append([]byte(nil), token...)
	cause, data, err := takeBytes(data, text)
	if err != nil || !utf8.Valid(cause) {
		return errFrame
	}
	m.cause = string(cause)
	if m.uptime, data, err = takeInt(data); err != nil || len(data) > 0 {
		return errFrame
	}
	return nil
}

type decoder struct {
	content [maxContent]byte
	filled  int
	lost    bool
	handle  func(f frame, err error)
}

func (d *decoder) feed(data []byte) {
	for _, b := range data {
		if b != 0 {
			if d.filled == maxContent {
				d.handle(frame{}, errFrame)
				d.lost, d.filled = true, 0
			}
			d.content[d.filled] = b
			d.filled++
			continue
		}
		if d.filled > 0 && !d.lost {
			d.handle(parse(d.content[:d.filled]))
		}
		d.lost, d.filled = false, 0
	}
}

// parse undoes COBS in place.
func parse(content []byte) (f frame, err error) {
	at := int(content[0])
	for at < len(content) {
		distance := int(content[at])
		content[at] = 0
		at += distance
	}
	if at != len(content) || len(content) < 1+headerSize+1+crcSize {
		return f, errFrame
	}
	raw, sum := content[1:len(content)-crcSize], content[len(content)-crcSize:]
	if crc32.ChecksumIEEE(raw) != binary.BigEndian.Uint32(sum) {
		return f, errFrame
	}
	f.kind, f.version, f.session = raw[0], raw[1], binary.BigEndian.Uint32(raw[2:])
	f.seq, f.ack = binary.BigEndian.Uint16(raw[6:]), binary.BigEndian.Uint16(raw[8:])
	f.ms = binary.BigEndian.Uint32(raw[10:])
	return f, f.message.parse(raw[headerSize:])
}

func (f *frame) String() string {
	m := &f.message
	return fmt.Sprintf("%d,%d,%d,%d,%d,%d,%d,%d,%d,%t,%x,%s,%d;", f.kind, f.version, f.session, f.seq, f.ack, f.ms,
		m.trip, m.count, m.drift, m.armed, m.token, m.cause, m.uptime)
}

func main() {
	if len(os.Args) != 3 {
		os.Exit(2)
	}
	stream, err := os.ReadFile(os.Args[1])
	if err != nil {
		os.Exit(2)
	}
	var lines [][]byte
	for _, line := range strings.SplitAfter(string(stream), "\x00") {
		if line != "" {
			lines = append(lines, []byte(line))
		}
	}
	var last frame
	into := decoder{handle: func(f frame, err error) {
		if err != nil {
			os.Exit(2)
		}
		last = f
	}}
	decode := func() {
		for _, line := range lines {
			into.feed(line)
		}
	}
	var frames []frame
	for _, line := range lines {
		into.feed(line)
		frames = append(frames, last)
	}
	encode := func() {
		for i := range frames {
			if sent, err = frames[i].encode(); err != nil {
				os.Exit(2)
			}
		}
	}
	if os.Args[2] == "encode" {
		peerServe(encode, func() string {
			var all strings.Builder
			for i := range frames {
				one, _ := frames[i].encode()
				fmt.Fprintf(&all, "%x", one)
			}
			return all.String()
		})
	}
	peerServe(decode, func() string {
		var all strings.Builder
		for i := range frames {
			all.WriteString(frames[i].String())
		}
		return all.String()
	})
}
