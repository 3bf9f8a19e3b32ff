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

type bracket struct{ stop, target int64 }

type order struct {
	tag, contract, parent, oco        string
	account, side, size, filled, kind int64
	entry, live                       bool
	limit, stop                       *int64
	bracket                           *bracket
}

type quote struct {
	contract       string
	bid, ask, last *int64
	recv           int64
}

type account struct {
	id       int64
	canTrade bool
}

type view struct {
	utc, mono, unknown            int64
	journalFailed                 string
	active, listed, synced, armed bool
	account                       *account
	instrument                    *product
	quote                         *quote
	day, balance, equity, floor   *int64
	positions                     map[string]int64
	orders                        []*order
}

type pending struct {
	contract    string
	known       *product
	buys, sells int64
}

// priced says of each kind (market, limit, stop) whether it has a limit price and a stop price.
var priced = [3][2]bool{{false, false}, {true, false}, {false, true}}

var rules limits
var raised = map[string]int64{}
var products = map[string]*product{}
var seen view
var asked []*order
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
	if o.size < 1 || o.size <= o.filled || o.kind < 0 || o.kind > 2 ||
		(o.limit != nil) != priced[o.kind][0] || (o.stop != nil) != priced[o.kind][1] {
		return 0
	}
	switch {
	case !v.listed || v.account != nil && v.account.id != o.account:
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
	case v.account == nil || !v.account.canTrade:
		return 7
	}
	own := products[o.contract]
	if own == nil || v.instrument != own {
		return 8
	}
	if o.entry {
		var b bracket
		if o.bracket != nil {
			b = *o.bracket
		}
		if b.stop < rules.leastBracket || b.target < rules.leastBracket && b.target != 0 {
			return 9
		}
	}
	if o.size > rules.orderContracts {
		return 10
	}
	if !o.entry {
		return 11
	}
	if v.utc < own.openNs || v.utc >= own.untilNs {
		return 12
	}
	q := v.quote
	if q == nil || q.bid == nil || q.ask == nil {
		return 13
	}
	age := plus(v.mono, -q.recv)
	if q.contract != o.contract || age < 0 || age > rules.quoteAge {
		return 13
	}
	if collared(o, q) {
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

func collared(o *order, q *quote) bool {
	spread, near := plus(*q.ask, -*q.bid), *q.bid
	if o.side > 0 {
		near = *q.ask
	}
	if spread < 0 || spread > rules.collar || q.last != nil && size(plus(*q.last, -near)) > rules.collar {
		return true
	}
	if o.stop != nil && times(plus(*o.stop, -near), o.side) <= 0 {
		return true
	}
	price := near
	if o.stop != nil {
		price = *o.stop
	} else if o.limit != nil {
		price = *o.limit
	}
	return size(plus(price, -near)) > rules.collar
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
	for _, each := range v.orders {
		if each.tag == o.tag {
			each, placed = o, true
		}
		remaining := each.remaining()
		if len(raised) > 0 && remaining != 0 {
			remaining = plus(remaining, max(0, plus(raised[each.tag], -each.size)))
		}
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
	p, stop := products[o.contract], int64(0)
	if o.bracket != nil {
		stop = o.bracket.stop
	}
	return times(o.remaining(), plus(times(plus(rules.slippage, stop), p.tickValue), p.fee))
}

type group struct {
	name    string
	counted int64
}

// dearestOf adds what a loss adds to its group, of which only the dearest counts.
func dearestOf(groups []group, name string, loss int64) ([]group, int64) {
	if name == "" {
		return groups, loss
	}
	for i := range groups {
		if groups[i].name == name {
			more := max(0, plus(loss, -groups[i].counted))
			groups[i].counted = max(loss, groups[i].counted)
			return groups, more
		}
	}
	return append(groups, group{name, loss}), loss
}

func tooDear(o *order, v *view) bool {
	if v.day == nil || v.equity == nil || v.balance == nil || v.floor == nil {
		return true
	}
	var room [8]group
	groups, risk := dearestOf(room[:0], o.oco, atRisk(o))
	for _, each := range v.orders {
		if each.entry && each.tag != o.tag {
			var more int64
			groups, more = dearestOf(groups, each.oco, atRisk(each))
			risk = plus(risk, more)
		}
	}
	for contract, net := range v.positions {
		if net != 0 {
			p := products[contract]
			risk = plus(risk, times(size(net), plus(times(p.tickValue, rules.slippage), (p.fee+1)/2)))
		}
	}
	return rules.daily != 0 && plus(*v.day, -risk) <= -rules.daily || plus(*v.equity, -risk) <= *v.floor
}

type reader []int64

func (r *reader) next() int64 {
	value := (*r)[0]
	*r = (*r)[1:]
	return value
}

func (r *reader) optional(given bool) *int64 {
	value := r.next()
	if !given {
		return nil
	}
	return &value
}

func (r *reader) orders(prefix string) []*order {
	list := make([]*order, r.next())
	for i := range list {
		o := &order{tag: fmt.Sprint(prefix, i), account: 1, contract: contracts[r.next()]}
		o.side, o.size, o.filled, o.kind = r.next(), r.next(), r.next(), r.next()
		o.entry = r.next() != 0
		o.limit, o.stop = r.optional(priced[o.kind][0]), r.optional(priced[o.kind][1])
		if stop, target := r.next(), r.next(); stop != 0 {
			o.bracket = &bracket{stop, target}
		}
		if r.next() != 0 {
			o.parent = "filled"
		}
		if r.next() != 0 {
			o.oco = "pair"
		}
		o.live = r.next() != 0
		list[i] = o
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
	v.utc, v.mono = r.next(), r.next()
	v.quote = &quote{contracts[0], r.optional(true), r.optional(true), r.optional(true), r.next()}
	v.day, v.balance, v.equity, v.floor = r.optional(true), r.optional(true), r.optional(true), r.optional(true)
	v.account, v.instrument = &account{1, true}, products[contracts[0]]
	v.active, v.listed, v.synced, v.armed = true, true, true, true
	v.positions = map[string]int64{}
	for range r.next() {
		contract := contracts[r.next()]
		v.positions[contract] = r.next()
	}
	v.orders, asked = r.orders("e"), r.orders("t")
}

func total() int64 {
	var sum int64
	for i := range asked {
		sum = ((sum*31+check(asked[i], &seen))%1000003 + 1000003) % 1000003
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
