// The best sequences of portfolio actions, as native/sequences_py.py defines them: "sequences_go FILE each" simulates
// every sequence from the start, "sequences_go FILE shared" extends prefixes. FILE is what ../sequences.py writes.
package main

import (
	"fmt"
	"math"
	"os"
	"strings"
)

type found struct {
	score float64
	path  []int
}

type action struct {
	security, change, fee int64
	gain                  float64
}

type desk struct {
	depth, limit                       int
	cash, total                        int64
	value, country, group              []int64
	merit                              []float64
	wanted, wantedCountry, wantedGroup []int64 // micro-units
	weight, rate                       []float64
	actions                            []action
	base                               float64
	best                               []found
	now, gap, inCountry, inGroup       []int64
	taken                              []bool
	path                               []int
}

type reader []int64

func (r *reader) next() int64 {
	value := (*r)[0]
	*r = (*r)[1:]
	return value
}

func (r *reader) ints(count int64) []int64 {
	values := (*r)[:count]
	*r = (*r)[count:]
	return values
}

func (r *reader) floats(count int64) []float64 {
	values := make([]float64, count)
	for i := range values {
		values[i] = math.Float64frombits(uint64(r.next()))
	}
	return values
}

func micro(shares []float64, total int64) []int64 {
	values := make([]int64, len(shares))
	for i, share := range shares {
		values[i] = int64(math.RoundToEven(share * float64(total)))
	}
	return values
}

func load(path string) *desk {
	r := reader(peerInts(path))
	held, countries, groups, actions := r.next(), r.next(), r.next(), r.next()
	d := &desk{depth: int(r.next()), limit: int(r.next()), cash: r.next()}
	d.value, d.country, d.group = r.ints(held), r.ints(held), r.ints(held)
	d.total = d.cash
	for _, value := range d.value {
		d.total += value
	}
	total := float64(d.total)
	d.merit = r.floats(held)
	d.wanted, d.wantedCountry = micro(r.floats(held), d.total), micro(r.floats(countries), d.total)
	d.wantedGroup = micro(r.floats(groups), d.total)
	d.weight = r.floats(5)
	for i, scale := range r.floats(3) {
		count := float64([]int64{held, countries, groups}[i])
		d.rate = append(d.rate, d.weight[i+1]/(scale*count*total))
	}
	for i, value := range d.value {
		d.base += float64(value) * d.merit[i]
	}
	d.base = d.weight[0] * d.base / total
	for range actions {
		a := action{security: r.next(), change: r.next(), fee: r.next()}
		a.gain = (d.weight[0]*d.merit[a.security]*float64(a.change) - d.weight[4]*float64(a.fee)) / total
		d.actions = append(d.actions, a)
	}
	d.now, d.gap, d.taken = make([]int64, held), make([]int64, held), make([]bool, held)
	d.inCountry, d.inGroup, d.path = make([]int64, countries), make([]int64, groups), make([]int, d.depth)
	return d
}

func magnitude(x int64) int64 {
	if x < 0 {
		return -x
	}
	return x
}

func above(x float64) float64 {
	if x > 0 {
		return x
	}
	return 0
}

func (d *desk) score(linear float64, off, offCountry, offGroup int64) float64 {
	linear += above(d.weight[1] - float64(off)*d.rate[0])
	linear += above(d.weight[2] - float64(offCountry)*d.rate[1])
	return linear + above(d.weight[3]-float64(offGroup)*d.rate[2])
}

func (d *desk) offer(score float64, path []int) {
	place := len(d.best)
	if place == d.limit && score < d.best[place-1].score {
		return
	}
	for place > 0 && (score > d.best[place-1].score ||
		score == d.best[place-1].score && len(path) < len(d.best[place-1].path)) {
		place--
	}
	if place == d.limit {
		return
	}
	if len(d.best) < d.limit {
		d.best = append(d.best, found{})
	}
	copy(d.best[place+1:], d.best[place:])
	d.best[place] = found{score, append([]int(nil), path...)}
}

// evaluate simulates one sequence from the start.
func (d *desk) evaluate(path []int) {
	copy(d.now, d.value)
	left, paid := d.cash, int64(0)
	for i, index := range path {
		a := &d.actions[index]
		for _, earlier := range path[:i] {
			if d.actions[earlier].security == a.security {
				return
			}
		}
		left -= a.change + a.fee
		paid += a.fee
		d.now[a.security] += a.change
		if left < 0 || d.now[a.security] < 0 {
			return
		}
	}
	clear(d.inCountry)
	clear(d.inGroup)
	var off, offCountry, offGroup int64
	earned := 0.0
	for i, value := range d.now {
		earned += float64(value) * d.merit[i]
		off += magnitude(value - d.wanted[i])
		d.inCountry[d.country[i]] += value
		d.inGroup[d.group[i]] += value
	}
	for i, value := range d.inCountry {
		offCountry += magnitude(value - d.wantedCountry[i])
	}
	for i, value := range d.inGroup {
		offGroup += magnitude(value - d.wantedGroup[i])
	}
	linear := (d.weight[0]*earned - d.weight[4]*float64(paid)) / float64(d.total)
	d.offer(d.score(linear, off, offCountry, offGroup), path)
}

func (d *desk) each(size, first int) {
	d.evaluate(d.path[:size])
	if size == d.depth {
		return
	}
	for index := first; index < len(d.actions); index++ {
		d.path[size] = index
		d.each(size+1, index+1)
	}
}

func (d *desk) extend(first, size int, left, off, offCountry, offGroup int64, linear float64) {
	for index := first; index < len(d.actions); index++ {
		a := &d.actions[index]
		rest := left - a.change - a.fee
		if rest < 0 || d.taken[a.security] || d.value[a.security]+a.change < 0 {
			continue
		}
		country, group := d.country[a.security], d.group[a.security]
		was, wasCountry, wasGroup := d.gap[a.security], d.inCountry[country], d.inGroup[group]
		sum := off + magnitude(was+a.change) - magnitude(was)
		sumCountry := offCountry + magnitude(wasCountry+a.change) - magnitude(wasCountry)
		sumGroup := offGroup + magnitude(wasGroup+a.change) - magnitude(wasGroup)
		grown := linear + a.gain
		d.path[size] = index
		score := d.score(grown, sum, sumCountry, sumGroup)
		if len(d.best) < d.limit || score >= d.best[len(d.best)-1].score {
			d.offer(score, d.path[:size+1])
		}
		if size+1 < d.depth {
			d.taken[a.security], d.inCountry[country], d.inGroup[group] = true, wasCountry+a.change, wasGroup+a.change
			d.extend(index+1, size+1, rest, sum, sumCountry, sumGroup, grown)
			d.taken[a.security], d.inCountry[country], d.inGroup[group] = false, wasCountry, wasGroup
		}
	}
}

// fromPrefixes uses inCountry and inGroup for the gaps to what is wanted.
func (d *desk) fromPrefixes() {
	var off, offCountry, offGroup int64
	for i, wanted := range d.wantedCountry {
		d.inCountry[i] = -wanted
	}
	for i, wanted := range d.wantedGroup {
		d.inGroup[i] = -wanted
	}
	for i, value := range d.value {
		d.gap[i] = value - d.wanted[i]
		off += magnitude(d.gap[i])
		d.inCountry[d.country[i]] += value
		d.inGroup[d.group[i]] += value
	}
	for _, gap := range d.inCountry {
		offCountry += magnitude(gap)
	}
	for _, gap := range d.inGroup {
		offGroup += magnitude(gap)
	}
	d.offer(d.score(d.base, off, offCountry, offGroup), nil)
	d.extend(0, 0, d.cash, off, offCountry, offGroup, d.base)
}

func main() {
	if len(os.Args) != 3 {
		os.Exit(2)
	}
	d, shared := load(os.Args[1]), os.Args[2] == "shared"
	work := func() {
		d.best = d.best[:0]
		if shared {
			d.fromPrefixes()
		} else {
			d.each(0, 0)
		}
	}
	peerServe(work, func() string {
		work()
		var text strings.Builder
		for _, one := range d.best {
			fmt.Fprintf(&text, "%.12f", one.score)
			for _, index := range one.path {
				fmt.Fprintf(&text, ",%d", index)
			}
			text.WriteString(";")
		}
		return text.String()
	})
}
