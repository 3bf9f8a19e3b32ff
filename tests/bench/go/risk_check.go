// The rules of app/risk/checks.py that an entry passes, in their order, on an account with a position and live orders.
// "risk_check_go FILE"; FILE is what ../risk_check.py writes. Sums and products are checked as ours are.
package main

import (
	"fmt"
	"os"
)

var contracts = []string{"CON.F.US.EP.Z26", "CON.F.US.MES.Z26", "CON.F.US.ENQ.Z26"}

type limits struct {
	collar, quoteAge, orderContracts, tenths, slippage, daily, leastBracket int64
	fullUntil, dayFrom, dayUntil, echoUntil                                 int64
}

type product struct{ weight, tickValue, fee, most, openNs, untilNs int64 }

type order struct {
	tag, contract, parent, oco            string
	side, size, filled, kind              int64
	entry, live                           bool
	price, bracketStop, bracketTarget     int64
}

type view struct {
	utc, mono, bid, ask, last, recv, day, equity, floor int64
	contract, journalFailed                             string
	active, listed, synced, armed, canTrade             bool
	account, unknown                                    int64
	positions                                           map[string]int64
	orders                                              []order
}

type pending struct {
	contract    string
	known       *product
	buys, sells int64
}

var rules limits
var products = map[string]*product{}
var seen view
var asked []order
var overflow bool

func plus(a, b int64) int64 {
	c := a + b
	if (c > a) != (b > 0) && b != 0 {
		overflow = true
	}
	return c
}

func times(a, b int64) int64 {
	c := a * b
	if a != 0 && c/a != b {
		overflow = true
	}
	return c
}

func size(a int64) int64 {
	if a < 0 {
		return -a
	}
	return a
}

func (o *order) remaining() int64 {
	if !o.live {
		return 0
	}
	return plus(o.size, -o.filled)
}

func check(o *order, v *view) int64 {
	if o.size < 1 || o.size <= o.filled || o.kind < 0 || o.kind > 2 {
		return 0
	}
	switch {
	case !v.listed:
		return 1
	case !v.synced:
		return 2
	case !v.active:
		return 3
	case !v.armed:
		return 4
	case v.unknown != 0:
		return 5
	case v.journalFailed != "":
		return 6
	case !v.canTrade:
		return 7
	}
	own := products[o.contract]
	if own == nil {
		return 8
	}
	if o.bracketStop < rules.leastBracket || o.bracketTarget < rules.leastBracket && o.bracketTarget != 0 {
		return 9
	}
	if o.size > rules.orderContracts {
		return 10
	}
	if v.utc < own.openNs || v.utc >= own.untilNs {
		return 12
	}
	age := plus(v.mono, -v.recv)
	if v.contract != o.contract || age < 0 || age > rules.quoteAge {
		return 13
	}
	if collared(o, v) {
		return 14
	}
	if v.mono < rules.fullUntil || v.utc < rules.dayFrom || v.utc >= rules.dayUntil {
		return 15
	}
	if tooMany(o, v, own) {
		return 16
	}
	if tooDear(o, v) {
		return 17
	}
	if v.mono < rules.echoUntil {
		return 18
	}
	return -1
}

func collared(o *order, v *view) bool {
	spread, near := plus(v.ask, -v.bid), v.bid
	if o.side > 0 {
		near = v.ask
	}
	if spread < 0 || spread > rules.collar || size(plus(v.last, -near)) > rules.collar {
		return true
	}
	if o.kind == 0 {
		return false
	}
	if o.kind == 2 && times(plus(o.price, -near), o.side) <= 0 {
		return true
	}
	return size(plus(o.price, -near)) > rules.collar
}

func add(found []pending, o *order, count int64) []pending {
	for i := range found {
		if found[i].contract == o.contract {
			return added(found, i, o.side, count)
		}
	}
	return added(append(found, pending{contract: o.contract, known: products[o.contract]}), len(found), o.side, count)
}

func added(found []pending, i int, side, count int64) []pending {
	if count > 0 && side < 0 {
		found[i].sells = plus(found[i].sells, count)
	} else if count > 0 {
		found[i].buys = plus(found[i].buys, count)
	}
	return found
}

type leg struct {
	remaining int64
	from      *order
}

func tooMany(o *order, v *view, own *product) bool {
	var room [8]pending
	var legRoom [8]leg
	var leftRoom [8]leg
	found, legs, left, placed := room[:0], legRoom[:0], leftRoom[:0], false
	for i := range v.orders {
		each := &v.orders[i]
		if each.tag == o.tag {
			each, placed = o, true
		}
		remaining := each.remaining()
		if each.entry || each.parent == "" {
			left = append(left, leg{remaining, each})
			found = add(found, each, remaining)
			continue
		}
		legs = dearest(legs, remaining, each)
	}
	if !placed {
		found = add(found, o, o.remaining())
	}
	for _, each := range legs {
		for _, parent := range left {
			if parent.from.tag == each.from.parent {
				each.remaining = plus(each.remaining, -parent.remaining)
			}
		}
		found = add(found, each.from, each.remaining)
	}
	for contract := range v.positions {
		found = add(found, &order{contract: contract}, 0)
	}
	var ofSymbol, tenths int64
	for i := range found {
		net := v.positions[found[i].contract]
		worst := max(plus(net, found[i].buys), plus(found[i].sells, -net))
		tenths = plus(tenths, times(worst, found[i].known.weight))
		if found[i].known == own {
			ofSymbol = plus(ofSymbol, worst)
		}
	}
	return ofSymbol > own.most || tenths > rules.tenths
}

func dearest(legs []leg, remaining int64, each *order) []leg {
	for i := range legs {
		if legs[i].from.parent == each.parent {
			if remaining > legs[i].remaining {
				legs[i] = leg{remaining, each}
			}
			return legs
		}
	}
	return append(legs, leg{remaining, each})
}

func atRisk(o *order) int64 {
	p := products[o.contract]
	return times(o.remaining(), plus(times(plus(rules.slippage, o.bracketStop), p.tickValue), p.fee))
}

func tooDear(o *order, v *view) bool {
	risk := atRisk(o)
	for i := range v.orders {
		if v.orders[i].entry && v.orders[i].tag != o.tag {
			risk = plus(risk, atRisk(&v.orders[i]))
		}
	}
	for contract, net := range v.positions {
		p := products[contract]
		risk = plus(risk, times(size(net), plus(times(p.tickValue, rules.slippage), (p.fee+1)/2)))
	}
	return rules.daily != 0 && plus(v.day, -risk) <= -rules.daily || plus(v.equity, -risk) <= v.floor
}

type reader []int64

func (r *reader) next() int64 {
	value := (*r)[0]
	*r = (*r)[1:]
	return value
}

func (r *reader) orders(prefix string) []order {
	list := make([]order, r.next())
	for i := range list {
		o := &list[i]
		o.tag, o.contract = fmt.Sprint(prefix, i), contracts[r.next()]
		o.side, o.size, o.filled, o.kind = r.next(), r.next(), r.next(), r.next()
		o.entry, o.price = r.next() != 0, r.next()
		o.bracketStop, o.bracketTarget = r.next(), r.next()
		if r.next() != 0 {
			o.parent = prefix + "0"
		}
		o.live = r.next() != 0
	}
	return list
}

func load(path string) {
	r := reader(peerInts(path))
	l := &rules
	for _, into := range []*int64{&l.collar, &l.quoteAge, &l.orderContracts, &l.tenths, &l.slippage, &l.daily,
		&l.leastBracket, &l.fullUntil, &l.dayFrom, &l.dayUntil, &l.echoUntil} {
		*into = r.next()
	}
	for i := range r.next() {
		products[contracts[i]] = &product{r.next(), r.next(), r.next(), r.next(), r.next(), r.next()}
	}
	v := &seen
	for _, into := range []*int64{&v.utc, &v.mono, &v.bid, &v.ask, &v.last, &v.recv, &v.day, &v.equity, &v.floor} {
		*into = r.next()
	}
	v.contract, v.positions = contracts[0], map[string]int64{}
	v.active, v.listed, v.synced, v.armed, v.canTrade = true, true, true, true, true
	for range r.next() {
		contract := contracts[r.next()]
		v.positions[contract] = r.next()
	}
	v.orders, asked = r.orders("e"), r.orders("t")
}

func total() int64 {
	var sum int64
	for i := range asked {
		sum = ((sum*31+check(&asked[i], &seen))%1000003 + 1000003) % 1000003
	}
	return sum
}

var kept int64

func main() {
	if len(os.Args) != 2 {
		os.Exit(2)
	}
	load(os.Args[1])
	peerServe(func() { kept = total() }, func() string {
		if overflow {
			return "overflow"
		}
		return fmt.Sprint(total())
	})
}
