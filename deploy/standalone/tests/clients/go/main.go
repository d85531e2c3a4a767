// Tells events through a server SDK as published, then ends: clients SDK ENDPOINT SCENARIO USER
package main

import (
	"net"
	"os"

	"github.com/segmentio/analytics-go/v3"
)

func main() {
	endpoint, scenario, user := os.Args[2], os.Args[3], os.Args[4]
	taken := make(taken, 50)
	client, err := analytics.NewWithConfig("key", analytics.Config{Endpoint: endpoint, BatchSize: 50, Callback: taken})
	check(err)
	switch scenario {
	case "calls":
		calls(client, user)
	case "batch", "retry":
		for n := 1; n <= 50; n++ {
			check(client.Enqueue(analytics.Track{
				UserId: user, Event: "click", Properties: analytics.Properties{"n": n},
			}))
		}
	}
	// Close sends what is left, but does not wait for a second attempt.
	for n := 0; scenario == "retry" && n < 50; n++ {
		<-taken
	}
	check(client.Close())
}

// Told of every event that the endpoint has taken.
type taken chan struct{}

func (taken taken) Success(analytics.Message) { taken <- struct{}{} }

func (taken taken) Failure(message analytics.Message, err error) { panic(err) }

func calls(client analytics.Client, user string) {
	context := &analytics.Context{
		IP: net.ParseIP("203.0.113.7"), Locale: "de-DE", UserAgent: "Shop/1.0",
		Campaign: analytics.CampaignInfo{Name: "spring", Source: "mail"},
	}
	messages := []analytics.Message{
		analytics.Identify{UserId: user, Traits: analytics.Traits{"plan": "pro", "n": 1}},
		analytics.Page{UserId: user, Name: "Home", Context: context, Properties: analytics.Properties{
			"url": "https://shop.example/home?q=1", "path": "/home", "title": "Shop",
			"referrer": "https://search.example/", "n": 2,
		}},
		analytics.Track{UserId: user, Event: "click", Properties: analytics.Properties{
			"element": "a#buy", "element_text": "Buy now", "element_href": "/cart", "n": 3,
		}},
		analytics.Track{UserId: user, AnonymousId: "a1", Event: "Order Completed", Properties: analytics.Properties{
			"total": 12.5, "n": 4,
		}},
		analytics.Screen{UserId: user, Name: "Cart", Properties: analytics.Properties{"n": 5}},
		analytics.Group{UserId: user, GroupId: "g1", Traits: analytics.Traits{"n": 6}},
		analytics.Alias{UserId: user, PreviousId: "a1"},
	}
	for _, message := range messages {
		check(client.Enqueue(message))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
