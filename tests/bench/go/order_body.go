// Place bodies from an order struct: by encoding/json ("json"), by its version 2 ("json2"), by hand ("hand").
package main

import (
	"encoding/binary"
	"encoding/json"
	json2 "encoding/json/v2"
	"os"
	"strconv"
	"strings"
)

type order struct {
	account, kind, side, size, priceTicks, stopTicks, targetTicks int64
	contract, tag                                                 string
}

const (
	words  = 7 * 8
	stride = words + 24 + 64
)

type bracket struct {
	Ticks int64 `json:"ticks"`
	Type  int64 `json:"type"`
}

type body struct {
	AccountID  int64    `json:"accountId"`
	ContractID string   `json:"contractId"`
	Type       int64    `json:"type"`
	Side       int64    `json:"side"`
	Size       int64    `json:"size"`
	LimitPrice *float64 `json:"limitPrice,omitempty"`
	StopPrice  *float64 `json:"stopPrice,omitempty"`
	StopLoss   *bracket `json:"stopLossBracket,omitempty"`
	TakeProfit *bracket `json:"takeProfitBracket,omitempty"`
	CustomTag  string   `json:"customTag,omitempty"`
}

func typed(o *order) *body {
	price := float64(o.priceTicks) * 0.25
	b := &body{AccountID: o.account, ContractID: o.contract, Type: o.kind, Size: o.size, CustomTag: o.tag}
	if o.side < 0 {
		b.Side = 1
	}
	if o.kind == 1 {
		b.LimitPrice = &price
	} else {
		b.StopPrice = &price
	}
	if o.stopTicks != 0 {
		b.StopLoss = &bracket{-o.side * o.stopTicks, 4}
	}
	if o.targetTicks != 0 {
		b.TakeProfit = &bracket{o.side * o.targetTicks, 1}
	}
	return b
}

func appendPrice(out []byte, ticks int64) []byte {
	units := ticks * 25
	if units < 0 {
		out, units = append(out, '-'), -units
	}
	out = strconv.AppendInt(out, units/100, 10)
	return append(out, '.', byte('0'+units/10%10), byte('0'+units%10))
}

func appendText(out []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			os.Exit(3)
		}
	}
	return append(out, text...)
}

func byHand(out []byte, o *order) []byte {
	out = strconv.AppendInt(append(out, `{"accountId":`...), o.account, 10)
	out = append(appendText(append(out, `,"contractId":"`...), o.contract), `","type":`...)
	out = append(strconv.AppendInt(out, o.kind, 10), `,"side":`...)
	if o.side < 0 {
		out = append(out, '1')
	} else {
		out = append(out, '0')
	}
	out = strconv.AppendInt(append(out, `,"size":`...), o.size, 10)
	if o.kind == 1 {
		out = append(out, `,"limitPrice":`...)
	} else {
		out = append(out, `,"stopPrice":`...)
	}
	out = appendPrice(out, o.priceTicks)
	if o.stopTicks != 0 {
		out = strconv.AppendInt(append(out, `,"stopLossBracket":{"ticks":`...), -o.side*o.stopTicks, 10)
		out = append(out, `,"type":4}`...)
	}
	if o.targetTicks != 0 {
		out = strconv.AppendInt(append(out, `,"takeProfitBracket":{"ticks":`...), o.side*o.targetTicks, 10)
		out = append(out, `,"type":1}`...)
	}
	return append(appendText(append(out, `,"customTag":"`...), o.tag), `"}`...)
}

func read(path string) []order {
	data, err := os.ReadFile(path)
	if err != nil {
		os.Exit(2)
	}
	orders := make([]order, len(data)/stride)
	for i := range orders {
		row := data[i*stride : (i+1)*stride]
		field := func(at int) int64 { return int64(binary.LittleEndian.Uint64(row[8*at:])) }
		orders[i] = order{
			field(0), field(1), field(2), field(3), field(4), field(5), field(6),
			strings.TrimRight(string(row[words:words+24]), "\x00"), strings.TrimRight(string(row[words+24:]), "\x00"),
		}
	}
	return orders
}

func main() {
	orders := read(os.Args[1])
	encode := map[string]func(*order) []byte{
		"json":  func(o *order) []byte { b, _ := json.Marshal(typed(o)); return b },
		"json2": func(o *order) []byte { b, _ := json2.Marshal(typed(o)); return b },
		"hand":  func(o *order) []byte { return byHand(make([]byte, 0, 320), o) },
	}[os.Args[2]]
	sum := 0
	work := func() {
		for i := range orders {
			sum += len(encode(&orders[i]))
		}
	}
	check := func() string {
		var text strings.Builder
		for i := range orders {
			text.Write(encode(&orders[i]))
			text.WriteByte(';')
		}
		return text.String()
	}
	peerServe(work, check)
}
