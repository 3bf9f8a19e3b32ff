// What every peer in Go shares: its input file, and the loop that answers "check" and "run N" on standard input.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// peerInts is the whole of a file of little-endian 64-bit integers; it exits when that cannot be read.
func peerInts(path string) []int64 {
	bytes, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	values := make([]int64, len(bytes)/8)
	for i := range values {
		values[i] = int64(binary.LittleEndian.Uint64(bytes[8*i:]))
	}
	return values
}

func peerCPU() int64 {
	var now syscall.Timespec
	const processCPUTime = 2
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, processCPUTime, uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano()
}

// peerServe answers until the pipe is closed: work is one unit of work, check its result as one line of text.
func peerServe(work func(), check func() string) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if count, isRun := strings.CutPrefix(lines.Text(), "run "); isRun {
			repeats, _ := strconv.Atoi(count)
			begun := peerCPU()
			for i := 0; i < repeats; i++ {
				work()
			}
			fmt.Println(peerCPU() - begun)
		} else {
			fmt.Println(check())
		}
	}
}
