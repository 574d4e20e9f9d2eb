// Command confluent drives the schema registry with confluent-kafka-go's client, and sends records through its serializers.
package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/rest"
	_ "github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/rules/cel"
	_ "github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/rules/jsonata"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde/avrov2"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde/jsonschema"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde/protobuf"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/test"
	"google.golang.org/protobuf/proto"

	"vltava/conformance/report"
)

const wait = 30 * time.Second

// client is one without anything remembered.
func client() schemaregistry.Client {
	cl, err := schemaregistry.NewClient(schemaregistry.NewConfig(os.Getenv("REGISTRY")))
	report.Must("client", err)
	return cl
}

func avro(fields ...string) schemaregistry.SchemaInfo {
	var shown []string
	for _, field := range fields {
		name, optional := strings.CutSuffix(field, "?")
		text := `{"name":"` + name + `","type":"int"`
		if optional {
			text += `,"default":0`
		}
		shown = append(shown, text+"}")
	}
	return schemaregistry.SchemaInfo{
		Schema: `{"type":"record","name":"User","fields":[` + strings.Join(shown, ",") + `]}`,
	}
}

// refused fails the check unless err is the registry's error of this code.
func refused(what string, code int, err error) {
	var refusal *rest.Error
	if !errors.As(err, &refusal) {
		panic(fmt.Sprintf("%s: not refused by the registry, but %v", what, err))
	}
	report.Equal(what, code, refusal.Code)
}

// message is what a serializer makes of a value.
type message struct {
	headers []kafka.Header
	payload []byte
}

func serialized(serializer serde.Serializer, topic string, value any) message {
	headers, payload, err := serializer.SerializeWithHeaders(topic, value)
	report.Must("serialize", err)
	return message{headers, payload}
}

// through writes messages into a topic and returns what is read back.
func through(topic string, sent []message) []message {
	producer, err := kafka.NewProducer(&kafka.ConfigMap{"bootstrap.servers": report.Bootstrap()})
	report.Must("producer", err)
	defer producer.Close()
	deliveries := make(chan kafka.Event, len(sent))
	for _, one := range sent {
		record := kafka.Message{
			TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny},
			Value:          one.payload,
			Headers:        one.headers,
		}
		report.Must("produce", producer.Produce(&record, deliveries))
	}
	for range sent {
		delivered := (<-deliveries).(*kafka.Message)
		report.Must("delivery", delivered.TopicPartition.Error)
	}
	consumer, err := kafka.NewConsumer(&kafka.ConfigMap{
		"bootstrap.servers": report.Bootstrap(), "group.id": "go-confluent-" + topic, "auto.offset.reset": "earliest",
	})
	report.Must("consumer", err)
	defer consumer.Close()
	report.Must("subscribe", consumer.Subscribe(topic, nil))
	var got []message
	for end := time.Now().Add(wait); len(got) < len(sent) && time.Now().Before(end); {
		record, err := consumer.ReadMessage(time.Second)
		if err == nil {
			got = append(got, message{record.Headers, record.Value})
		}
	}
	report.Equal("records", len(sent), len(got))
	return got
}

func main() {
	cl := client()
	report.Check("schemas are registered and found", func() { schemas(cl) })
	report.Check("errors have their codes", func() { refusals(cl) })
	report.Check("compatibility and other settings are set and shown", func() { settings(cl) })
	report.Check("references are kept and shown", func() { references(cl) })
	report.Check("metadata and rules are kept and found", func() { contracts(cl) })
	report.Check("deletion is soft and then for good", func() { deletion(cl) })
	report.Check("contexts have ids of their own", func() { contexts(cl) })
	report.Check("avro goes through a topic and evolves", func() { avroRecords(cl) })
	report.Check("protobuf goes through a topic, nested and with imports", func() { protobufRecords(cl) })
	report.Check("json schema goes through a topic and is validated", func() { jsonRecords(cl) })
	report.Check("guids are carried in headers", func() { headers(cl) })
	report.Check("rules that the registry keeps are carried out", func() { rules(cl) })
	report.Done()
}

func schemas(cl schemaregistry.Client) {
	first, err := cl.RegisterFullResponse("goc-value", avro("a"), false)
	report.Must("register", err)
	again, err := client().Register("goc-value", avro("a"), false)
	report.Must("register again", err)
	report.Equal("again", first.ID, again)
	second, err := cl.RegisterFullResponse("goc-value", avro("a", "b?"), true)
	report.Must("evolve", err)
	report.True("ids grow", second.ID > first.ID)
	found, err := client().GetIDFullResponse("goc-value", avro("a"), false)
	report.Must("lookup", err)
	report.Equal("found", []any{first.ID, 1}, []any{found.ID, found.Version})
	version, err := client().GetVersion("goc-value", avro("a", "b?"), true)
	report.Must("version", err)
	report.Equal("version", 2, version)
	latest, err := cl.GetLatestSchemaMetadata("goc-value")
	report.Must("latest", err)
	report.Equal("latest", []any{second.ID, 2, "goc-value"}, []any{latest.ID, latest.Version, latest.Subject})
	old, err := cl.GetSchemaMetadata("goc-value", 1)
	report.Must("by version", err)
	report.Equal("by version", avro("a").Schema, old.Schema)
	versions, err := cl.GetAllVersions("goc-value")
	report.Must("versions", err)
	report.Equal("versions", []int{1, 2}, versions)
	subjects, err := cl.GetAllSubjects()
	report.Must("subjects", err)
	report.True("the subject is listed", slices.Contains(subjects, "goc-value"))
	text, err := client().GetBySubjectAndID("goc-value", first.ID)
	report.Must("by id", err)
	report.Equal("by id", avro("a").Schema, text.Schema)
	text, err = client().GetByGUID(found.GUID)
	report.Must("by guid", err)
	report.Equal("by guid", avro("a").Schema, text.Schema)
	uses, err := cl.GetSubjectsAndVersionsByID(first.ID)
	report.Must("uses", err)
	report.True("the use is told", slices.Contains(uses, schemaregistry.SubjectAndVersion{Subject: "goc-value", Version: 1}))
}

func refusals(cl schemaregistry.Client) {
	_, err := cl.GetAllVersions("goc-none")
	refused("subject", 40401, err)
	_, err = cl.GetBySubjectAndID("", 999999)
	refused("id", 40403, err)
	_, err = cl.GetSchemaMetadata("goc-value", 9)
	refused("version", 40402, err)
	_, err = cl.Register("goc-bad", schemaregistry.SchemaInfo{Schema: "{"}, false)
	refused("schema", 42201, err)
	_, err = cl.Register("goc-value", avro("a", "b?", "c"), false)
	refused("incompatible", 40901, err)
	compatible, err := cl.TestSubjectCompatibility("goc-value", avro("a", "b?", "c"))
	report.Must("test", err)
	report.True("it is incompatible", !compatible)
	compatible, err = cl.TestCompatibility("goc-value", 2, avro("a", "b?", "c?"))
	report.Must("test of a version", err)
	report.True("it is compatible", compatible)
	_, err = cl.GetCompatibility("goc-no-level")
	refused("no level", 40408, err)
}

func settings(cl schemaregistry.Client) {
	level, err := cl.GetDefaultCompatibility()
	report.Must("global", err)
	report.Equal("global", "BACKWARD", level.String())
	level, err = cl.UpdateCompatibility("goc-level", schemaregistry.FullTransitive)
	report.Must("set", err)
	report.Equal("set", "FULL_TRANSITIVE", level.String())
	_, err = cl.UpdateConfig("goc-level", schemaregistry.ServerConfig{
		CompatibilityUpdate: schemaregistry.Forward, CompatibilityGroup: "major", Normalize: true,
		DefaultMetadata: &schemaregistry.Metadata{Properties: map[string]string{"owner": "me"}},
	})
	report.Must("update", err)
	config, err := cl.GetConfig("goc-level", false)
	report.Must("config", err)
	report.Equal("config", []any{"FORWARD", "major", true, "me"}, []any{
		config.CompatibilityLevel.String(), config.CompatibilityGroup, config.Normalize,
		config.DefaultMetadata.Properties["owner"],
	})
	config, err = cl.GetConfig("goc-other", true)
	report.Must("config of all", err)
	report.Equal("config of all", "BACKWARD", config.CompatibilityLevel.String())
}

func references(cl schemaregistry.Client) {
	_, err := cl.Register("goc-inner", avro("x"), false)
	report.Must("inner", err)
	outer := schemaregistry.SchemaInfo{
		Schema:     `{"type":"record","name":"Outer","fields":[{"name":"inner","type":"User"}]}`,
		References: []schemaregistry.Reference{{Name: "User", Subject: "goc-inner", Version: 1}},
	}
	id, err := cl.Register("goc-outer", outer, false)
	report.Must("outer", err)
	read, err := client().GetBySubjectAndID("goc-outer", id)
	report.Must("read", err)
	report.Equal("references", outer.References, read.References)
	_, err = cl.DeleteSubjectVersion("goc-inner", 1, false)
	refused("deletion", 42206, err)
}

func contracts(cl schemaregistry.Client) {
	info := avro("a")
	info.Metadata = &schemaregistry.Metadata{
		Properties: map[string]string{"major": "1"}, Tags: map[string][]string{"**.a": {"PII"}}, Sensitive: []string{"major"},
	}
	info.RuleSet = &schemaregistry.RuleSet{DomainRules: []schemaregistry.Rule{{
		Name: "positive", Kind: "CONDITION", Mode: "WRITE", Type: "CEL", Expr: "message.a > 0", OnFailure: "ERROR",
		Tags: []string{"PII"}, Params: map[string]string{"p": "v"}, Doc: "of what it is",
	}}}
	_, err := cl.Register("goc-contract", info, false)
	report.Must("register", err)
	second := avro("a", "b?")
	second.Metadata = &schemaregistry.Metadata{Properties: map[string]string{"major": "2"}}
	_, err = cl.Register("goc-contract", second, false)
	report.Must("second", err)
	found, err := cl.GetLatestWithMetadata("goc-contract", map[string]string{"major": "1"}, false)
	report.Must("by metadata", err)
	report.Equal("by metadata", 1, found.Version)
	report.True("the metadata is kept", reflect.DeepEqual(info.Metadata, found.Metadata))
	report.True("the rules are kept", reflect.DeepEqual(info.RuleSet, found.RuleSet))
}

func deletion(cl schemaregistry.Client) {
	for _, info := range []schemaregistry.SchemaInfo{avro("a"), avro("a", "b?")} {
		_, err := cl.Register("goc-gone", info, false)
		report.Must("register", err)
	}
	version, err := cl.DeleteSubjectVersion("goc-gone", 2, false)
	report.Must("version", err)
	report.Equal("version", 2, version)
	_, err = client().GetSchemaMetadata("goc-gone", 2)
	refused("hidden", 40402, err)
	hidden, err := client().GetSchemaMetadataIncludeDeleted("goc-gone", 2, true)
	report.Must("also deleted ones", err)
	report.Equal("also deleted ones", 2, hidden.Version)
	_, err = cl.DeleteSubject("goc-gone", true)
	refused("for good too early", 40405, err)
	deleted, err := cl.DeleteSubject("goc-gone", false)
	report.Must("soft", err)
	report.Equal("soft", []int{1}, deleted)
	deleted, err = cl.DeleteSubject("goc-gone", true)
	report.Must("for good", err)
	report.Equal("for good", []int{1, 2}, deleted)
}

func contexts(cl schemaregistry.Client) {
	_, err := cl.Register(":.goc:s", avro("a"), false)
	report.Must("register", err)
	names, err := cl.GetAllContexts()
	report.Must("contexts", err)
	report.True("both are listed", slices.Contains(names, ".") && slices.Contains(names, ".goc"))
	versions, err := cl.GetAllVersions(":.goc:s")
	report.Must("versions", err)
	report.Equal("versions", []int{1}, versions)
}

// User is a record, as it was at first.
type User struct {
	A int `json:"a" avro:"a"`
}

// NewUser is one with what came later.
type NewUser struct {
	A int `avro:"a"`
	B int `avro:"b"`
}

func avroRecords(cl schemaregistry.Client) {
	_, err := cl.Register("goc-avro-value", avro("a"), false)
	report.Must("register", err)
	config := avrov2.NewSerializerConfig()
	config.AutoRegisterSchemas, config.UseLatestVersion = false, true
	serializer, err := avrov2.NewSerializer(cl, serde.ValueSerde, config)
	report.Must("serializer", err)
	var sent []message
	for number := range 10 {
		sent = append(sent, serialized(serializer, "goc-avro", &User{A: number}))
	}
	got := through("goc-avro", sent)
	_, err = cl.Register("goc-avro-value", avro("a", "b?"), false)
	report.Must("evolve", err)
	reading := avrov2.NewDeserializerConfig()
	reading.UseLatestVersion = true
	deserializer, err := avrov2.NewDeserializer(client(), serde.ValueSerde, reading)
	report.Must("deserializer", err)
	for number, one := range got {
		report.Equal("the magic byte", 0, int(one.payload[0]))
		user := NewUser{B: 7}
		report.Must("deserialize", deserializer.DeserializeInto("goc-avro", one.payload, &user))
		report.Equal("user", NewUser{A: number}, user)
	}
}

func protobufRecords(cl schemaregistry.Client) {
	serializer, err := protobuf.NewSerializer(cl, serde.ValueSerde, protobuf.NewSerializerConfig())
	report.Must("serializer", err)
	for topic, value := range map[string]proto.Message{
		"goc-simple":  &test.Author{Name: "Kafka", Id: 123, Works: []string{"The Castle", "The Trial"}},
		"goc-second":  &test.Pizza{Size: "large", Toppings: []string{"anchovies"}},
		"goc-inner":   &test.NestedMessage_InnerMessage{Id: "inner"},
		"goc-circle":  &test.LinkedList{Value: 1, Next: &test.LinkedList{Value: 100}},
		"goc-imports": &test.DependencyMessage{IsActive: true, TestMesssage: &test.TestMessage{TestString: "hi", TestInt32: 7}},
	} {
		got := through(topic, []message{serialized(serializer, topic, value)})
		deserializer, err := protobuf.NewDeserializer(client(), serde.ValueSerde, protobuf.NewDeserializerConfig())
		report.Must("deserializer", err)
		report.Must("type", deserializer.ProtoRegistry.RegisterMessage(value.ProtoReflect().Type()))
		read, err := deserializer.Deserialize(topic, got[0].payload)
		report.Must("deserialize "+topic, err)
		report.True(topic+" is read as it was written", proto.Equal(value, read.(proto.Message)))
	}
	kept, err := cl.GetLatestSchemaMetadata("goc-imports-value")
	report.Must("latest", err)
	report.Equal("type", "PROTOBUF", kept.SchemaType)
	report.True("imports are references", len(kept.References) > 0)
}

// Order is a value of JSON.
type Order struct {
	ID   int    `json:"id"`
	Note string `json:"note"`
}

// Other is one that the schema of Order does not allow.
type Other struct {
	ID string `json:"id"`
}

func jsonRecords(cl schemaregistry.Client) {
	config := jsonschema.NewSerializerConfig()
	config.EnableValidation = true
	serializer, err := jsonschema.NewSerializer(cl, serde.ValueSerde, config)
	report.Must("serializer", err)
	var sent []message
	for number := range 10 {
		sent = append(sent, serialized(serializer, "goc-json", &Order{ID: number, Note: "n"}))
	}
	deserializer, err := jsonschema.NewDeserializer(client(), serde.ValueSerde, jsonschema.NewDeserializerConfig())
	report.Must("deserializer", err)
	for number, one := range through("goc-json", sent) {
		var order Order
		report.Must("deserialize", deserializer.DeserializeInto("goc-json", one.payload, &order))
		report.Equal("order", Order{ID: number, Note: "n"}, order)
	}
	strict := jsonschema.NewSerializerConfig()
	strict.EnableValidation, strict.AutoRegisterSchemas, strict.UseLatestVersion = true, false, true
	checked, err := jsonschema.NewSerializer(client(), serde.ValueSerde, strict)
	report.Must("strict serializer", err)
	_, err = checked.Serialize("goc-json", &Other{ID: "one"})
	report.True("another value is refused", err != nil)
}

func headers(cl schemaregistry.Client) {
	_, err := cl.Register("goc-header-value", avro("a"), false)
	report.Must("register", err)
	config := avrov2.NewSerializerConfig()
	config.AutoRegisterSchemas, config.UseLatestVersion = false, true
	serializer, err := avrov2.NewSerializer(cl, serde.ValueSerde, config)
	report.Must("serializer", err)
	serializer.SchemaIDSerializer = serde.HeaderSchemaIDSerializer
	got := through("goc-header", []message{serialized(serializer, "goc-header", &User{A: 5})})
	report.Equal("the header", "__value_schema_id", got[0].headers[0].Key)
	deserializer, err := avrov2.NewDeserializer(client(), serde.ValueSerde, avrov2.NewDeserializerConfig())
	report.Must("deserializer", err)
	var user User
	report.Must("deserialize", deserializer.DeserializeWithHeadersInto("goc-header", got[0].headers, got[0].payload, &user))
	report.Equal("user", User{A: 5}, user)
}

func rules(cl schemaregistry.Client) {
	group := func(major string) *schemaregistry.Metadata {
		return &schemaregistry.Metadata{Properties: map[string]string{"major": major}}
	}
	_, err := cl.UpdateConfig("goc-rules-value", schemaregistry.ServerConfig{CompatibilityGroup: "major"})
	report.Must("group", err)
	first := avro("a")
	first.Metadata = group("1")
	first.RuleSet = &schemaregistry.RuleSet{DomainRules: []schemaregistry.Rule{
		{Name: "positive", Kind: "CONDITION", Mode: "WRITE", Type: "CEL", Expr: "message.A > 0", OnFailure: "ERROR"},
	}}
	_, err = cl.Register("goc-rules-value", first, false)
	report.Must("first", err)
	config := avrov2.NewSerializerConfig()
	config.AutoRegisterSchemas, config.UseLatestWithMetadata = false, map[string]string{"major": "1"}
	serializer, err := avrov2.NewSerializer(client(), serde.ValueSerde, config)
	report.Must("serializer", err)
	_, err = serializer.Serialize("goc-rules", &User{A: -1})
	report.True("a value against the rule is refused", err != nil)
	got := through("goc-rules", []message{serialized(serializer, "goc-rules", &User{A: 3})})
	// The next major version calls the field otherwise, and says how to get there.
	second := avro("b")
	second.Metadata = group("2")
	second.RuleSet = &schemaregistry.RuleSet{MigrationRules: []schemaregistry.Rule{
		{Name: "rename", Kind: "TRANSFORM", Mode: "UPGRADE", Type: "JSONATA", Expr: `{"b": a}`},
	}}
	_, err = cl.Register("goc-rules-value", second, false)
	report.Must("second", err)
	reading := avrov2.NewDeserializerConfig()
	reading.UseLatestWithMetadata = map[string]string{"major": "2"}
	deserializer, err := avrov2.NewDeserializer(client(), serde.ValueSerde, reading)
	report.Must("deserializer", err)
	var renamed struct {
		B int `avro:"b"`
	}
	report.Must("deserialize", deserializer.DeserializeInto("goc-rules", got[0].payload, &renamed))
	report.Equal("the renamed field", 3, renamed.B)
}
