// Peer of the job ticks_to_bars: trades to one-minute bars. Refuses trades out of order and negative sizes.
package main

import "os"

func ticksToBars(times, prices, sizes []int64, length int64, days *dayTable, out *bars) {
	last := times[0]
	out.clear()
	days.reset()
	prices, sizes = prices[:len(times)], sizes[:len(times)]
	for i := 0; i < len(times); {
		end, first := days.window(times[i], length), i
		high, low, volume := prices[i], prices[i], int64(0)
		for ; i < len(times) && times[i] < end; i++ {
			if times[i] < last || sizes[i] < 0 {
				refuse()
			}
			last = times[i]
			if prices[i] > high {
				high = prices[i]
			}
			if prices[i] < low {
				low = prices[i]
			}
			volume += sizes[i]
		}
		out.add(days.begin, prices[first], high, low, prices[i-1], volume)
	}
}

func main() {
	days, c := marketRead(os.Args[1], 3)
	out := newBars(len(c[0]))
	work := func() { ticksToBars(c[0], c[1], c[2], minuteNs, &days, &out) }
	peerServe(work, func() string {
		work()
		return out.text()
	})
}
