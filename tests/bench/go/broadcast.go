// One state to many TCP clients, a goroutine for each behind a channel. "each" writes every update, as the usual
// server does; "latest" writes the newest of a batch, as ours does.
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
)

const updates, size = 10, 200 // updates of one batch, bytes of one

var written sync.WaitGroup

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func client(conn net.Conn, inbox <-chan []byte) {
	for message := range inbox {
		_, err := conn.Write(message)
		must(err)
		written.Done()
	}
}

func connect(port string, count int) []chan []byte {
	inboxes := make([]chan []byte, count)
	for i := range inboxes {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		must(err)
		inboxes[i] = make(chan []byte, 64)
		go client(conn, inboxes[i])
	}
	return inboxes
}

// hand gives one message to every client and waits until all of them wrote it: the next one is 10 ms away.
func hand(inboxes []chan []byte, message []byte) {
	written.Add(len(inboxes))
	for _, inbox := range inboxes {
		inbox <- message
	}
	written.Wait()
}

func main() {
	count, err := strconv.Atoi(os.Args[3])
	must(err)
	inboxes := connect(os.Args[2], count)
	first := 0
	if os.Args[1] == "latest" {
		first = updates - 1
	}
	batch := func() {
		var latest []byte
		for update := 0; update < updates; update++ {
			latest = []byte(fmt.Sprintf("%0*d\n", size-1, update))
			if update >= first {
				hand(inboxes, latest)
			}
		}
	}
	peerServe(batch, func() string { batch(); return "sent" })
}
