// Command registry drives the schema registry with franz-go's client, and sends records through its serializer.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"vltava/conformance/report"
)

func client() *sr.Client {
	cl, err := sr.NewClient(sr.URLs(os.Getenv("REGISTRY")))
	report.Must("client", err)
	return cl
}

func avro(fields ...string) sr.Schema {
	var shown []string
	for _, field := range fields {
		name, optional := strings.CutSuffix(field, "?")
		text := `{"name":"` + name + `","type":"int"`
		if optional {
			text += `,"default":0`
		}
		shown = append(shown, text+"}")
	}
	return sr.Schema{Schema: `{"type":"record","name":"User","fields":[` + strings.Join(shown, ",") + `]}`}
}

// refused fails the check unless err is the registry's error of this code.
func refused(what string, code int, err error) {
	var refusal *sr.ResponseError
	if !errors.As(err, &refusal) {
		panic(what + ": not refused by the registry")
	}
	report.Equal(what, code, refusal.ErrorCode)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cl := client()

	report.Check("schemas are registered and found", func() {
		first, err := cl.CreateSchema(ctx, "go-value", avro("a"))
		report.Must("create", err)
		again, err := cl.CreateSchema(ctx, "go-value", avro("a"))
		report.Must("create again", err)
		report.Equal("again", first.ID, again.ID)
		second, err := cl.CreateSchema(ctx, "go-value", avro("a", "b?"))
		report.Must("evolve", err)
		report.Equal("version", 2, second.Version)
		found, err := cl.LookupSchema(ctx, "go-value", avro("a"))
		report.Must("lookup", err)
		report.Equal("found", first.ID, found.ID)
		versions, err := cl.SubjectVersions(ctx, "go-value")
		report.Must("versions", err)
		report.Equal("versions", []int{1, 2}, versions)
		latest, err := cl.SchemaByVersion(ctx, "go-value", -1)
		report.Must("latest", err)
		report.Equal("latest", second.ID, latest.ID)
		text, err := cl.SchemaTextByID(ctx, first.ID)
		report.Must("text", err)
		report.Equal("text", avro("a").Schema, text)
		usages, err := cl.SchemaUsagesByID(ctx, first.ID)
		report.Must("usages", err)
		report.Equal("usages", 1, len(usages))
		types, err := cl.SupportedTypes(ctx)
		report.Must("types", err)
		report.True("Avro is supported", len(types) > 0)
	})

	report.Check("errors have their codes", func() {
		_, err := cl.SubjectVersions(ctx, "go-none")
		refused("subject", 40401, err)
		_, err = cl.SchemaByID(ctx, 999999)
		refused("id", 40403, err)
		_, err = cl.SchemaByVersion(ctx, "go-value", 9)
		refused("version", 40402, err)
		_, err = cl.CreateSchema(ctx, "go-bad", sr.Schema{Schema: "{"})
		refused("schema", 42201, err)
		_, err = cl.CreateSchema(ctx, "go-value", avro("a", "b?", "c"))
		refused("incompatible", 40901, err)
	})

	report.Check("compatibility is set checked and reset", func() {
		for _, result := range cl.Compatibility(ctx) {
			report.Must("global", result.Err)
			report.Equal("global", sr.CompatBackward, result.Level)
		}
		for _, result := range cl.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatNone}, "go-level") {
			report.Must("set", result.Err)
			report.Equal("set", sr.CompatNone, result.Level)
		}
		for _, result := range cl.ResetCompatibility(ctx, "go-level") {
			report.Must("reset", result.Err)
		}
		checked, err := cl.CheckCompatibility(ctx, "go-value", -1, avro("a", "b?", "c"))
		report.Must("check", err)
		report.True("it is incompatible", !checked.Is)
	})

	report.Check("references are kept and shown", func() {
		_, err := cl.CreateSchema(ctx, "go-inner", avro("x"))
		report.Must("inner", err)
		outer := sr.Schema{
			Schema:     `{"type":"record","name":"Outer","fields":[{"name":"inner","type":"User"}]}`,
			References: []sr.SchemaReference{{Name: "User", Subject: "go-inner", Version: 1}},
		}
		created, err := cl.CreateSchema(ctx, "go-outer", outer)
		report.Must("outer", err)
		references, err := cl.SchemaReferences(ctx, "go-inner", 1)
		report.Must("references", err)
		report.Equal("referrer", created.ID, references[0].ID)
		refused("deletion", 42206, cl.DeleteSchema(ctx, "go-inner", 1, sr.SoftDelete))
	})

	report.Check("deletion is soft and then for good", func() {
		_, err := cl.CreateSchema(ctx, "go-gone", avro("a"))
		report.Must("create", err)
		_, err = cl.DeleteSubject(ctx, "go-gone", sr.SoftDelete)
		report.Must("soft", err)
		deleted, err := cl.DeleteSubject(ctx, "go-gone", sr.HardDelete)
		report.Must("hard", err)
		report.Equal("deleted", []int{1}, deleted)
	})

	report.Check("modes are set and import brings its ids", func() {
		for _, result := range cl.SetMode(ctx, sr.ModeImport, "go-import") {
			report.Must("mode", result.Err)
		}
		created, err := cl.CreateSchemaWithIDAndVersion(ctx, "go-import", avro("i"), 7000, 3)
		report.Must("import", err)
		report.Equal("import", "7000 3", strings.Join([]string{itoa(created.ID), itoa(created.Version)}, " "))
		for _, result := range cl.ResetMode(ctx, "go-import") {
			report.Must("reset", result.Err)
		}
	})

	report.Check("records go through a topic with their schema", func() {
		type user struct {
			A int `json:"a"`
		}
		created, err := cl.CreateSchema(ctx, "go-json-value", sr.Schema{Type: sr.TypeJSON, Schema: `{"type":"object","properties":{"a":{"type":"integer"}}}`})
		report.Must("create", err)
		var serde sr.Serde
		serde.Register(created.ID, user{}, sr.EncodeFn(json.Marshal), sr.DecodeFn(json.Unmarshal))
		kafka, err := kgo.NewClient(
			kgo.SeedBrokers(report.Bootstrap()), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("go-json"),
			kgo.ConsumeTopics("go-json"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		)
		report.Must("kafka", err)
		defer kafka.Close()
		for number := range 10 {
			record := &kgo.Record{Value: serde.MustEncode(user{A: number})}
			report.Must("produce", kafka.ProduceSync(ctx, record).FirstErr())
		}
		var got []int
		for len(got) < 10 {
			kafka.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
				var value user
				report.Must("decode", serde.Decode(record.Value, &value))
				got = append(got, value.A)
			})
		}
		report.Equal("values", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, got)
	})

	report.Done()
}

func itoa(number int) string {
	text, err := json.Marshal(number)
	report.Must("number", err)
	return string(text)
}
