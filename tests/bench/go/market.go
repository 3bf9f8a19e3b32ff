// What the peers of bars and trades share: the input file (see market_data.py), days, windows, bars.
package main

import (
	"os"
	"strconv"
	"strings"
)

const minuteNs = int64(60_000_000_000)

type bars struct {
	start, open, high, low, close, volume []int64
}

func newBars(room int) bars {
	column := func() []int64 { return make([]int64, 0, room) }
	return bars{column(), column(), column(), column(), column(), column()}
}

func (b *bars) clear() {
	b.start, b.open, b.high = b.start[:0], b.open[:0], b.high[:0]
	b.low, b.close, b.volume = b.low[:0], b.close[:0], b.volume[:0]
}

func (b *bars) add(start, open, high, low, close, volume int64) {
	b.start = append(b.start, start)
	b.open = append(b.open, open)
	b.high = append(b.high, high)
	b.low = append(b.low, low)
	b.close = append(b.close, close)
	b.volume = append(b.volume, volume)
}

func (b *bars) text() string {
	var rows []int64
	for i := range b.start {
		rows = append(rows, b.start[i], b.open[i], b.high[i], b.low[i], b.close[i], b.volume[i])
	}
	return numbersText(rows)
}

func numbersText(numbers []int64) string {
	texts := make([]string, len(numbers))
	for i, number := range numbers {
		texts[i] = strconv.FormatInt(number, 10)
	}
	return strings.Join(texts, " ")
}

// dayTable knows where trading days begin; the last start only ends the day before it.
type dayTable struct {
	starts     []int64
	start, end int64 // the day last looked for
	begin, to  int64 // the window in it
}

func (d *dayTable) reset() {
	d.start, d.end, d.to = 0, 0, 0
}

func (d *dayTable) find(utcNs int64) {
	day := 1
	for day < len(d.starts) && d.starts[day] <= utcNs {
		day++
	}
	if day == len(d.starts) || utcNs < d.starts[day-1] {
		refuse()
	}
	d.start, d.end = d.starts[day-1], d.starts[day]
}

// window moves to the window of utcNs and returns its end; mostly it follows the one before, which saves a division.
func (d *dayTable) window(utcNs, length int64) int64 {
	if utcNs < d.start || utcNs >= d.end {
		d.find(utcNs)
		d.begin = utcNs - (utcNs-d.start)%length
	} else if utcNs >= d.to && utcNs-d.to < length {
		d.begin = d.to
	} else {
		d.begin = utcNs - (utcNs-d.start)%length
	}
	d.to = min(d.begin+length, d.end)
	return d.to
}

func refuse() {
	os.Exit(3)
}

// marketRead reads the file: rows, the table of days, then columns.
func marketRead(path string, columns int) (dayTable, [][]int64) {
	file := peerInts(path)
	rows, starts := int(file[0]), int(file[1])
	days := dayTable{starts: file[2 : 2+starts]}
	rest, read := file[2+starts:], make([][]int64, columns)
	for i := range read {
		read[i] = rest[i*rows : (i+1)*rows]
	}
	return days, read
}
