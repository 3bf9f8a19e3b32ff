// Peer of the job bars_coarsen: one-minute bars to five minutes. Refuses bars out of order and negative volumes.
package main

import "os"

func coarsen(fine *bars, length int64, days *dayTable, out *bars) {
	last := int64(-1)
	out.clear()
	days.reset()
	count := len(fine.start)
	for i := 0; i < count; {
		end, first := days.window(fine.start[i], length), i
		high, low, volume := fine.high[i], fine.low[i], int64(0)
		for ; i < count && fine.start[i] < end; i++ {
			if fine.start[i] <= last || fine.volume[i] < 0 {
				refuse()
			}
			last = fine.start[i]
			if fine.high[i] > high {
				high = fine.high[i]
			}
			if fine.low[i] < low {
				low = fine.low[i]
			}
			volume += fine.volume[i]
		}
		out.add(days.begin, fine.open[first], high, low, fine.close[i-1], volume)
	}
}

func main() {
	days, c := marketRead(os.Args[1], 6)
	fine, coarse := bars{c[0], c[1], c[2], c[3], c[4], c[5]}, newBars(len(c[0]))
	work := func() { coarsen(&fine, 5*minuteNs, &days, &coarse) }
	peerServe(work, func() string {
		work()
		return coarse.text()
	})
}
