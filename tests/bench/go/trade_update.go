// Peer of the job trade_update: each trade into bars of three timeframes and four indicators, one after the other.
// Products are converted before they are added: Go may fuse them otherwise, and the last bit would differ.
package main

import (
	"math"
	"os"
)

const bandPeriod = 20

type frame struct {
	length, start, end, open, high, low, close, volume int64
}

type ema struct {
	period, seen      int
	share, sum, value float64
}

func (e *ema) update(close float64) {
	if e.seen == e.period {
		e.value += float64((close - e.value) * e.share)
		return
	}
	e.sum += close
	e.seen++
	if e.seen == e.period {
		e.value = e.sum / float64(e.period)
	}
}

type rsi struct {
	period, seen            int
	last, gain, loss, value float64
}

func (r *rsi) update(close float64) {
	change, gain, loss := close-r.last, 0.0, 0.0
	r.last = close
	if change > 0 {
		gain = change
	} else if change < 0 {
		loss = -change
	}
	n := float64(r.period)
	if r.seen > r.period {
		r.gain = (float64(r.gain*(n-1)) + gain) / n
		r.loss = (float64(r.loss*(n-1)) + loss) / n
	} else {
		if r.seen > 0 {
			r.gain += gain
			r.loss += loss
		}
		r.seen++
		if r.seen <= r.period {
			return
		}
		r.gain /= n
		r.loss /= n
	}
	r.value = 50
	if total := r.gain + r.loss; total > 1e-14 {
		r.value = 100 * (r.gain / total)
	}
}

type atr struct {
	period, seen      int
	last, mean, value float64
}

func (a *atr) update(high, low, close float64) {
	top, bottom := high, low
	if a.last > high {
		top = a.last
	}
	if a.last < low {
		bottom = a.last
	}
	a.last = close
	n := float64(a.period)
	if a.seen > a.period {
		a.mean = (float64(a.mean*(n-1)) + (top - bottom)) / n
		a.value = a.mean
		return
	}
	if a.seen > 0 {
		a.mean += top - bottom
	}
	a.seen++
	if a.seen > a.period {
		a.mean /= n
		a.value = a.mean
	}
}

type band struct {
	seen, at                            int
	ring                                [bandPeriod]float64
	anchor, sum, squares                float64
	freshAnchor, freshSum, freshSquares float64
	value, upper, lower                 float64
}

func (b *band) update(close float64) {
	if b.seen == bandPeriod {
		oldest := b.ring[b.at] - b.anchor
		b.sum -= oldest
		b.squares -= float64(oldest * oldest)
	} else {
		if b.seen == 0 {
			b.anchor, b.freshAnchor = close, close
		}
		b.seen++
	}
	distance, fresh := close-b.anchor, close-b.freshAnchor
	b.sum += distance
	b.squares += float64(distance * distance)
	b.freshSum += fresh
	b.freshSquares += float64(fresh * fresh)
	b.ring[b.at] = close
	b.at++
	if b.at == bandPeriod {
		b.at = 0
		b.anchor, b.freshAnchor = b.freshAnchor, close
		b.sum, b.squares = b.freshSum, b.freshSquares
		b.freshSum, b.freshSquares = 0, 0
	}
	if b.seen < bandPeriod {
		return
	}
	n, deviation := float64(bandPeriod), 0.0
	if variance := (float64(b.squares*n) - float64(b.sum*b.sum)) / (n * n); variance > 0 {
		deviation = math.Sqrt(variance)
	}
	b.value = b.anchor + b.sum/n
	b.upper = b.value + float64(2*deviation)
	b.lower = b.value - float64(2*deviation)
}

type market struct {
	days   *dayTable
	frames [3]frame
	closed [3]frame
	ema    ema
	rsi    rsi
	atr    atr
	band   band
}

func newMarket(days *dayTable) *market {
	days.reset()
	m := &market{days: days, ema: ema{period: 20, share: 2.0 / 21}, rsi: rsi{period: 14}, atr: atr{period: 14}}
	for i, minutes := range []int64{1, 5, 15} {
		m.frames[i].length = minutes * minuteNs
	}
	return m
}

func (m *market) onTrade(price, size, utcNs int64) int64 {
	mask, late := int64(0), false
	if size < 0 {
		refuse()
	}
	if utcNs >= m.days.end {
		m.days.find(utcNs)
	}
	for i := range m.frames {
		f := &m.frames[i]
		if utcNs >= f.end {
			if f.start != f.end {
				m.closed[i] = *f
				mask |= 1 << i
			}
			f.start = utcNs - (utcNs-m.days.start)%f.length
			f.end = min(f.start+f.length, m.days.end)
			f.open, f.high, f.low, f.volume = price, price, price, 0
		} else if utcNs < f.start {
			late = true
			continue
		}
		if price > f.high {
			f.high = price
		}
		if price < f.low {
			f.low = price
		}
		f.close = price
		f.volume += size
	}
	if !late {
		close := float64(price)
		m.ema.update(close)
		m.rsi.update(close)
		m.atr.update(close, close, close)
		m.band.update(close)
	}
	return mask
}

func main() {
	days, c := marketRead(os.Args[1], 3)
	times, prices, sizes := c[0], c[1], c[2]
	var symbol *market
	var masks int64
	work := func() {
		symbol, masks = newMarket(&days), 0
		for i := range times {
			masks += symbol.onTrade(prices[i], sizes[i], times[i])
		}
	}
	peerServe(work, func() string {
		work()
		numbers := []int64{masks}
		for _, f := range symbol.closed {
			numbers = append(numbers, f.start, f.open, f.high, f.low, f.close, f.volume)
		}
		b := symbol.band
		for _, value := range []float64{symbol.ema.value, symbol.rsi.value, symbol.atr.value, b.value, b.upper, b.lower} {
			numbers = append(numbers, int64(math.Float64bits(value)))
		}
		return numbersText(numbers)
	})
}
