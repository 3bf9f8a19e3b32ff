// A year of one-minute bars from a CSV file: two averages cross, a market order at the next open with a stop and a
// target, flat before the session ends, fees and the ledger's totals. Arguments: file, fast, slow, stop and target in
// ticks. There is no gate, no journal, no order life and no report, so this is what the bars and fills alone cost.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

const (
	tickCents  = 25
	minute     = 60
	lastEntry  = 22*60 + 5 // minutes of the session
	flatten    = 22*60 + 7
	slippage   = 1
	tickMicro  = 12_500_000 // of one contract
	feeMicro   = 1_890_000  // of one side
	daySeconds = 24 * 3600
)

type bar struct{ start, open, high, low, close int64 }

type fill struct{ start, side, price int64 }

type order int

const (
	nothing order = iota
	enter
	exit
)

type book struct {
	net, enteredAt, stop, target int64
	fresh                        bool // entered in this bar: no target yet, the stop at its own price only
	waiting                      order
	side                         int64
	fills                        []fill
	gross, fees                  int64
}

// reader walks over the text of the file.
type reader struct {
	text []byte
	at   int
}

func (r *reader) digits(count int) (value int64) {
	for _, digit := range r.text[r.at : r.at+count] {
		value = value*10 + int64(digit-'0')
	}
	r.at += count + 1
	return value
}

// days since 1970-01-01 of a date in the Gregorian calendar.
func days(year, month, day int64) int64 {
	if month <= 2 {
		year--
	}
	shifted := month + 9
	if month > 2 {
		shifted = month - 3
	}
	era := year / 400
	ofEra := year - era*400
	ofYear := (153*shifted+2)/5 + day - 1
	return era*146097 + ofEra*365 + ofEra/4 - ofEra/100 + ofYear - 719468
}

// stamp reads "2014-01-01T23:00:00Z," in seconds.
func (r *reader) stamp() int64 {
	year, month, day, hour, minutes := r.digits(4), r.digits(2), r.digits(2), r.digits(2), r.digits(2)
	r.at += 4 // the seconds are none
	return days(year, month, day)*daySeconds + hour*3600 + minutes*minute
}

// price reads "1684.25," in ticks.
func (r *reader) price() int64 {
	cents := int64(0)
	for i, digit := range r.text[r.at:] {
		if digit == ',' {
			r.at += i + 1
			break
		}
		if digit != '.' {
			cents = cents*10 + int64(digit-'0')
		}
	}
	return cents / tickCents
}

func (r *reader) next() bar {
	one := bar{r.stamp(), r.price(), r.price(), r.price(), r.price()}
	r.at += bytes.IndexByte(r.text[r.at:], '\n') + 1 // the volume
	return one
}

func (b *book) fill(one *bar, side, price int64) {
	b.fills = append(b.fills, fill{one.start, side, price})
	b.fees += feeMicro
	b.gross += (price - b.enteredAt) * b.net * tickMicro
	b.enteredAt = price
	b.net += side
}

func (b *book) open(one *bar) {
	if b.waiting == exit && b.net != 0 {
		b.fill(one, -b.net, one.open-b.net*slippage)
	} else if b.waiting == enter {
		price := one.open + b.side*slippage
		b.fill(one, b.side, price)
		b.stop, b.target, b.fresh = price-b.side*stopAway, price+b.side*targetAway, true
	}
	b.waiting = nothing
}

func (b *book) within(one *bar) {
	long := b.net > 0
	if long && one.low <= b.stop || !long && one.high >= b.stop {
		price := b.stop
		if !b.fresh && (long && one.open < price || !long && one.open > price) {
			price = one.open
		}
		b.fill(one, -b.net, price)
	} else if !b.fresh && (long && one.high > b.target || !long && one.low < b.target) {
		b.fill(one, -b.net, b.target)
	}
}

func (b *book) decide(crossed, minutes int64) {
	if b.net*crossed < 0 {
		b.waiting = exit
	} else if b.net == 0 && minutes < lastEntry {
		b.waiting, b.side = enter, crossed
	}
}

var fast, slow, stopAway, targetAway int64

func run(text []byte) *book {
	b := &book{}
	var opened, before, sumFast, sumSlow, above int64
	closes := make([]int64, 0, len(text)/32)
	r := reader{text, bytes.IndexByte(text, '\n') + 1}
	for r.at < len(text) {
		one := r.next()
		if one.start-before > minute {
			opened = one.start
		}
		before = one.start
		minutes := (one.start-opened)/minute + 1
		b.open(&one)
		if b.net != 0 {
			b.within(&one)
		}
		b.fresh = false
		closes = append(closes, one.close)
		count := int64(len(closes))
		sumFast, sumSlow = sumFast+one.close, sumSlow+one.close
		if count > fast {
			sumFast -= closes[count-1-fast]
		}
		if count > slow {
			sumSlow -= closes[count-1-slow]
		}
		was, apart := above, sumFast*slow-sumSlow*fast
		if count >= slow && apart > 0 {
			above = 1
		} else if count >= slow && apart < 0 {
			above = -1
		}
		if was != 0 && above != was {
			b.decide(above, minutes)
		}
		if minutes == flatten && b.net != 0 {
			b.waiting = exit
		}
	}
	return b
}

func number(at int) int64 {
	value, err := strconv.ParseInt(os.Args[at], 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return value
}

func year() *book {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return run(text)
}

func main() {
	fast, slow, stopAway, targetAway = number(2), number(3), number(4), number(5)
	peerServe(func() { year() }, func() string {
		b, said := year(), strings.Builder{}
		for _, each := range b.fills {
			fmt.Fprintf(&said, "%d,%d,%d;", each.start, each.side, each.price)
		}
		fmt.Fprintf(&said, "%d,%d,%d", b.gross, b.fees, b.gross-b.fees)
		return said.String()
	})
}
