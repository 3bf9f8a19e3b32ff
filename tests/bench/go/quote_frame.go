// GatewayQuote frames to records, by encoding/json/v2 in one pass ("json") and by a hand-written scanner ("hand") that
// takes the members in any order and allocates nothing.
package main

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"math"
	"os"
	"strings"
	"time"
)

type record struct {
	price               [6]int64 // last, bid, ask, open, high, low in ticks
	volume              int64
	updatedNs, stampNs  int64
	seen                uint32
	symbol, name        []byte
	change, changeShare []byte
}

const tickNano = 250_000_000

// By json/v2: a typed message; the payload's members are what the record holds.

type quote struct {
	Symbol        string    `json:"symbol"`
	SymbolName    string    `json:"symbolName"`
	LastPrice     float64   `json:"lastPrice"`
	BestBid       float64   `json:"bestBid"`
	BestAsk       float64   `json:"bestAsk"`
	Change        float64   `json:"change"`
	ChangePercent float64   `json:"changePercent"`
	Open          float64   `json:"open"`
	High          float64   `json:"high"`
	Low           float64   `json:"low"`
	Volume        int64     `json:"volume"`
	LastUpdated   time.Time `json:"lastUpdated"`
	Timestamp     time.Time `json:"timestamp"`
}

type arguments struct {
	contract string
	quote    quote
}

func (a *arguments) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	if err := json.UnmarshalDecode(decoder, &a.contract); err != nil {
		return err
	}
	if err := json.UnmarshalDecode(decoder, &a.quote); err != nil {
		return err
	}
	_, err := decoder.ReadToken()
	return err
}

type message struct {
	Type      int       `json:"type"`
	Target    string    `json:"target"`
	Arguments arguments `json:"arguments"`
}

func ticks(price float64) int64 { return int64(math.Round(price * (1e9 / tickNano))) }

func decode(frame []byte, r *record) bool {
	var m message
	if json.Unmarshal(frame[:len(frame)-1], &m) != nil || m.Type != 1 || m.Target != "GatewayQuote" {
		return false
	}
	q := &m.Arguments.quote
	r.price = [6]int64{
		ticks(q.LastPrice), ticks(q.BestBid), ticks(q.BestAsk), ticks(q.Open), ticks(q.High), ticks(q.Low),
	}
	r.volume, r.updatedNs, r.stampNs = q.Volume, q.LastUpdated.UnixNano(), q.Timestamp.UnixNano()
	return true
}

// By hand.

const head = `{"type":1,"target":"GatewayQuote","arguments":["CON.F.US.MNQ.Z26",{`

var members = [...]string{
	`"symbol":`, `"symbolName":`, `"lastPrice":`, `"bestBid":`, `"bestAsk":`, `"change":`, `"changePercent":`,
	`"open":`, `"high":`, `"low":`, `"volume":`, `"lastUpdated":`, `"timestamp":`,
}

// number reads a decimal times 10**digits from pos on; the position behind it, 0 when it is none.
func number(b []byte, pos, digits int) (int64, int) {
	negative := b[pos] == '-'
	if negative {
		pos++
	}
	first, sum, places := pos, int64(0), 0
	for ; b[pos] >= '0' && b[pos] <= '9' && pos < first+18-digits; pos++ {
		sum = sum*10 + int64(b[pos]-'0')
	}
	if pos == first || (b[first] == '0' && pos > first+1) {
		return 0, 0
	}
	if b[pos] == '.' && digits > 0 {
		for pos++; b[pos] >= '0' && b[pos] <= '9' && places < digits; pos++ {
			sum = sum*10 + int64(b[pos]-'0')
			places++
		}
		if places == 0 {
			return 0, 0
		}
	}
	for ; places < digits; places++ {
		sum *= 10
	}
	if negative {
		sum = -sum
	}
	return sum, pos
}

func two(b []byte, pos int) int {
	tens, ones := int(b[pos])-'0', int(b[pos+1])-'0'
	if tens < 0 || tens > 9 || ones < 0 || ones > 9 {
		return -1
	}
	return tens*10 + ones
}

func daysOf(year, month, day int) int64 { // 2000 to 2099
	before := (367*month - 362) / 12
	if month > 2 {
		before -= 2
		if year%4 == 0 {
			before++
		}
	}
	return int64(10957 + 365*year + (year+3)/4 + before + day - 1)
}

func monthDays(year, month int) int {
	if month == 2 {
		if year%4 == 0 {
			return 29
		}
		return 28
	}
	return 30 + (month+month/8)&1
}

func stamp(b []byte, pos int) (int64, int) {
	if len(b) < pos+28 || b[pos] != '"' || two(b, pos+1) != 20 {
		return 0, 0
	}
	year, month, day := two(b, pos+3), two(b, pos+6), two(b, pos+9)
	hour, minute, second := two(b, pos+12), two(b, pos+15), two(b, pos+18)
	if year < 0 || month < 1 || month > 12 || day < 1 || day > monthDays(year, month) || hour < 0 || hour > 23 {
		return 0, 0
	}
	if minute < 0 || minute > 59 || second < 0 || second > 59 || b[pos+5] != '-' || b[pos+8] != '-' {
		return 0, 0
	}
	if b[pos+11] != 'T' || b[pos+14] != ':' || b[pos+17] != ':' {
		return 0, 0
	}
	pos += 20
	fraction, scale := int64(0), int64(1_000_000_000)
	if b[pos] == '.' {
		for pos++; b[pos] >= '0' && b[pos] <= '9' && scale > 1; pos++ {
			fraction = fraction*10 + int64(b[pos]-'0')
			scale /= 10
		}
	}
	if len(b) < pos+7 || string(b[pos:pos+7]) != `+00:00"` {
		return 0, 0
	}
	seconds := daysOf(year, month, day)*86400 + int64(hour*3600+minute*60+second)
	return seconds*1_000_000_000 + fraction*scale, pos + 7
}

// value skips a plain number or text; the position behind it, 0 when it is neither.
func value(b []byte, pos int) int {
	if b[pos] != '"' {
		_, end := number(b, pos, 9)
		return end
	}
	for pos++; b[pos] != '"'; pos++ {
		if b[pos] < ' ' || b[pos] > '~' || b[pos] == '\\' {
			return 0
		}
	}
	return pos + 1
}

func (r *record) price_(b []byte, pos, slot int) int {
	nano, end := number(b, pos, 9)
	if nano%tickNano != 0 {
		return 0
	}
	r.price[slot] = nano / tickNano
	return end
}

func (r *record) member(b []byte, pos, at int) int {
	end := 0
	switch at {
	case 2, 3, 4:
		end = r.price_(b, pos, at-2)
	case 7, 8, 9:
		end = r.price_(b, pos, at-4)
	case 10:
		r.volume, end = number(b, pos, 0)
	case 11:
		r.updatedNs, end = stamp(b, pos)
	case 12:
		r.stampNs, end = stamp(b, pos)
	case 0:
		end = value(b, pos)
		r.symbol = b[pos:max(pos, end)]
	case 1:
		end = value(b, pos)
		r.name = b[pos:max(pos, end)]
	case 5:
		end = value(b, pos)
		r.change = b[pos:max(pos, end)]
	default:
		end = value(b, pos)
		r.changeShare = b[pos:max(pos, end)]
	}
	return end
}

// find is the member whose name stands at pos, tried from next on; -1 for none.
func find(b []byte, pos, next int) int {
	for tried := 0; tried < len(members); tried++ {
		name := members[next]
		if pos+len(name) <= len(b) && string(b[pos:pos+len(name)]) == name {
			return next
		}
		if next++; next == len(members) {
			next = 0
		}
	}
	return -1
}

func scan(b []byte, r *record) bool {
	if len(b) < len(head) || string(b[:len(head)]) != head {
		return false
	}
	pos, next := len(head), 0
	r.seen = 0
	for {
		at := find(b, pos, next)
		if at < 0 || r.seen&(1<<at) != 0 {
			return false
		}
		r.seen |= 1 << at
		if pos = r.member(b, pos+len(members[at]), at); pos == 0 {
			return false
		}
		if next = at + 1; next == len(members) {
			next = 0
		}
		if b[pos] == '}' {
			break
		}
		if b[pos] != ',' {
			return false
		}
		pos++
	}
	return string(b[pos:]) == "}]}\x1e"
}

func main() {
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		os.Exit(2)
	}
	frames := bytes.SplitAfter(data, []byte{0x1e})
	frames = frames[:len(frames)-1]
	read := map[string]func([]byte, *record) bool{"json": decode, "hand": scan}[os.Args[2]]
	var r record
	work := func() {
		for _, frame := range frames {
			if !read(frame, &r) {
				os.Exit(3)
			}
		}
	}
	check := func() string {
		var text strings.Builder
		for _, frame := range frames {
			if !read(frame, &r) {
				os.Exit(3)
			}
			for _, price := range r.price {
				fmt.Fprintf(&text, "%d,", price)
			}
			fmt.Fprintf(&text, "%d,%d;", r.volume, r.updatedNs)
		}
		return text.String()
	}
	peerServe(work, check)
}
