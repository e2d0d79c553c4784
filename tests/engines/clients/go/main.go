// Sends a thousand events twice with the official client's bulk indexer, then one that can never be taken.
//
// Usage: bulk URL, with the token in TOKEN; says what became of them as one line of JSON.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/elastic/go-elasticsearch/v9"
	"github.com/elastic/go-elasticsearch/v9/esutil"
)

const events = 1000

type told struct {
	mu     sync.Mutex
	Stored int            `json:"stored"`
	Failed map[string]int `json:"failed"`
	Errors []string       `json:"errors"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func send(client *elasticsearch.Client, index string, first, last int) *told {
	found := &told{Failed: map[string]int{}, Errors: []string{}}
	indexer, err := esutil.NewBulkIndexer(esutil.BulkIndexerConfig{
		Client: client, Index: index, NumWorkers: 2, FlushBytes: 20_000,
		OnError: func(_ context.Context, err error) {
			found.mu.Lock()
			defer found.mu.Unlock()
			found.Errors = append(found.Errors, err.Error())
		},
	})
	check(err)
	for number := first; number <= last; number++ {
		document := fmt.Sprintf(`{"message":"go %d","log.level":"info","http.request.id":"r-go"}`, number)
		check(indexer.Add(context.Background(), esutil.BulkIndexerItem{
			Action: "create", DocumentID: fmt.Sprintf("go-%d", number), Body: strings.NewReader(document),
			OnSuccess: func(context.Context, esutil.BulkIndexerItem, esutil.BulkIndexerResponseItem) {
				found.mu.Lock()
				defer found.mu.Unlock()
				found.Stored++
			},
			OnFailure: func(_ context.Context, _ esutil.BulkIndexerItem, said esutil.BulkIndexerResponseItem, err error) {
				found.mu.Lock()
				defer found.mu.Unlock()
				found.Failed[fmt.Sprintf("%d %s", said.Status, said.Error.Type)]++
			},
		}))
	}
	check(indexer.Close(context.Background()))
	return found
}

func main() {
	client, err := elasticsearch.NewClient(elasticsearch.Config{
		Addresses: []string{os.Args[1]}, APIKey: os.Getenv("TOKEN"), CompressRequestBody: true,
		RetryOnStatus: []int{429, 502, 503, 504}, MaxRetries: 5,
		RetryBackoff: func(int) time.Duration { return 10 * time.Millisecond },
	})
	check(err)
	info, err := client.Info()
	check(err)
	said := map[string]any{"info": info.StatusCode, "client": elasticsearch.Version}
	said["first"] = send(client, "shop", 1, events)
	said["again"] = send(client, "shop", 1, events)
	said["never"] = send(client, "Not Allowed", events+1, events+1)
	stranger, err := elasticsearch.NewClient(elasticsearch.Config{Addresses: []string{os.Args[1]}, APIKey: "nonsense"})
	check(err)
	said["stranger"] = send(stranger, "shop", events+2, events+2)
	var line bytes.Buffer
	check(json.NewEncoder(&line).Encode(said))
	_, err = os.Stdout.Write(line.Bytes())
	check(err)
}
