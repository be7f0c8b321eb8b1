// Package common speaks with whoever started a client: the commands are those of client.py.
package common

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Part is a partition of a topic: [topic, partition].
type Part [2]any

// Header of a record; a null value is nil.
type Header struct {
	Name  string
	Value []byte
}

// Record that is to be sent.
type Record struct {
	Topic      string
	Partition  int
	Key, Value []byte
	Headers    []Header
}

// Producer sends records, and tells each acknowledgement by Acknowledged.
type Producer interface {
	Send(record Record)
	Flush()
}

// Consumer is a member of a group. It tells records by TellRecord, and what it has by itself.
type Consumer interface {
	// Poll gives the offsets after the records that were told since the last one.
	Poll() map[int]int64
	// Commit of all that Poll gave, and of no more. False: the group rebalances, so that it is to
	// be tried again after a poll.
	Commit() bool
	Close()
}

// Library is what a client library does behind the protocol.
type Library interface {
	Producer(codec string) Producer
	Consumer(options Options) Consumer
	ReadAll(topic string, partitions int)
	// Admin gives the operations of an administrator by name.
	Admin() map[string]func(Options) (any, error)
}

// Options are the KEY=VALUE arguments of a command.
type Options map[string]string

// Number is an option that is a number.
func (options Options) Number(name string) int {
	number, err := strconv.Atoi(options[name])
	Check(err)
	return number
}

// Address of the broker.
var Address string

// Check ends the program if something failed that cannot.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var lock sync.Mutex

// Tell writes one event; whoever started this program reads it at once.
func Tell(kind string, value any) {
	line, err := json.Marshal(map[string]any{kind: value})
	Check(err)
	lock.Lock()
	defer lock.Unlock()
	_, err = os.Stdout.Write(append(line, '\n'))
	Check(err)
}

// Acknowledged tells that a record was, or why it was not.
func Acknowledged(partition int, offset int64, value []byte, err error) {
	if err != nil {
		Tell("refused", []any{text(value), err.Error()})
	} else {
		Tell("acknowledged", []any{partition, offset, text(value)})
	}
}

// TellRecord tells what was read.
func TellRecord(partition int, offset int64, value, key []byte, headers []Header) {
	fields := [][]any{}
	for _, header := range headers {
		fields = append(fields, []any{header.Name, text(header.Value)})
	}
	Tell("record", []any{partition, offset, text(value), text(key), fields})
}

func text(data []byte) any {
	if data == nil {
		return nil
	}
	return string(data)
}

// Run does the command that the program was started with.
func Run(library Library) {
	Address = os.Args[1]
	options, records := parse(os.Args[3:])
	switch os.Args[2] {
	case "admin":
		admin(library)
	case "produce":
		produce(library, options)
	case "write":
		write(library, options["topic"], records)
	case "member":
		member(library, options)
	case "load":
		load(library, options)
	case "read":
		library.ReadAll(options["topic"], options.Number("partitions"))
	default:
		Check(fmt.Errorf("there is no command %s", os.Args[2]))
	}
}

func parse(arguments []string) (Options, []string) {
	options, records := Options{}, []string{}
	for _, argument := range arguments {
		name, value, _ := strings.Cut(argument, "=")
		if name == "record" {
			records = append(records, value)
		} else {
			options[name] = value
		}
	}
	return options, records
}

func admin(library Library) {
	operations := library.Admin()
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		words := strings.Split(input.Text(), " ")
		options, _ := parse(words[1:])
		operation, known := operations[words[0]]
		if !known {
			Tell("refused", "there is no such operation")
		} else if answer, err := operation(options); err != nil {
			Tell("refused", err.Error())
		} else {
			Tell("answer", answer)
		}
	}
}

func value(partition, number int) []byte {
	return fmt.Appendf(nil, "%d-%d", partition, number)
}

func produce(library Library, options Options) {
	producer := library.Producer(options["codec"])
	partitions, to := options.Number("partitions"), options.Number("to")
	for number := options.Number("from"); number < to; number++ {
		partition := number % partitions
		producer.Send(Record{
			Topic: options["topic"], Partition: partition, Value: value(partition, number),
		})
	}
	producer.Flush()
	Tell("flushed", true)
}

func write(library Library, topic string, records []string) {
	producer := library.Producer("none")
	for _, record := range records {
		fields := strings.Split(record, ";")
		headers := []Header{}
		for header := range strings.SplitSeq(fields[2], ",") {
			if name, value, found := strings.Cut(header, ":"); found {
				headers = append(headers, Header{name, data(value)})
			}
		}
		producer.Send(Record{
			Topic: topic, Key: data(fields[0]), Value: data(fields[1]), Headers: headers,
		})
	}
	producer.Flush()
	Tell("flushed", true)
}

func data(field string) []byte {
	if field == "~" {
		return nil
	}
	return []byte(field)
}

func member(library Library, options Options) {
	orders := make(chan string, 10)
	go func() {
		for input := bufio.NewScanner(os.Stdin); input.Scan(); {
			orders <- input.Text()
		}
		os.Exit(0) // whoever started this program is gone
	}()
	consumer := library.Consumer(options)
	order := ""
	for {
		if order == "" {
			select {
			case order = <-orders:
			default:
			}
		}
		consumer.Poll() // after the order: what was told before it belongs to it
		switch {
		case order == "commit" && consumer.Commit():
			Tell("committed", true)
			order = ""
		case order == "close":
			consumer.Close()
			Tell("closed", true)
			return
		}
	}
}

func load(library Library, options Options) {
	go produceForEver(library, options["topic"], options.Number("partitions"))
	options["session"] = "6000"
	consumer := library.Consumer(options)
	read := map[int]int64{}
	for {
		polled := consumer.Poll()
		for partition, offset := range polled {
			read[partition] = offset
		}
		if len(polled) > 0 {
			Tell("commits", read)
			if consumer.Commit() {
				Tell("committed", read)
			}
		}
	}
}

func produceForEver(library Library, topic string, partitions int) {
	producer := library.Producer("none")
	for number := int(time.Now().UnixMilli()); ; number++ {
		for partition := range partitions {
			producer.Send(Record{
				Topic: topic, Partition: partition, Value: value(partition, number),
			})
		}
		time.Sleep(5 * time.Millisecond) // a bound on how much there is to check afterwards
	}
}
