//! What is sent by nobody's client.

use super::*;

#[tokio::test]
async fn frames_that_lie_end_the_connection() {
    let running = Running::trusting("lies").await;
    let mut frames = vec![
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        i32::MIN.to_be_bytes().to_vec(),
        i32::MAX.to_be_bytes().to_vec(),
        vec![0, 0, 0, 0],
        vec![0, 0, 0, 1, 0],
        // No record, and 64 MiB of it.
        [&(64i32 << 20).to_be_bytes()[..], &[0, 3, 0, 0]].concat(),
    ];
    // Arrays that say that they have two billion elements, in either form.
    frames.push(framed(3, 1, 1, false, &i32::MAX.to_be_bytes()));
    frames.push(framed(3, 9, 1, true, &[0xff, 0xff, 0xff, 0xff, 0x0f]));
    frames.push(framed(0, 9, 1, true, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]));
    // Tags without end.
    frames.push(framed(18, 3, 1, true, &[1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f]));
    for frame in frames {
        let mut client = running.connect().await;
        client.send(&frame).await;
        assert_eq!(client.frame().await, None, "{frame:?}");
    }
    // Others are served all the while.
    assert!(running.connect().await.ask(&ApiVersionsRequest::default(), 0).await.is_some());
}

#[tokio::test]
async fn a_million_topics_end_the_connection() {
    let running = Running::trusting("million").await;
    let mut body = BytesMut::new();
    body.put_i32(1_000_000);
    (0..1_000_000).for_each(|_| body.put_slice(&[0, 1, b'a']));
    let mut client = running.connect().await;
    client.say(3, 1, false, &body).await;
    assert_eq!(client.frame().await, None);
}

#[tokio::test]
async fn half_a_frame_has_its_time() {
    let running = Running::trusting("half").await;
    let mut client = running.connect().await;
    client.send(&[0, 0, 0, 100, 0, 3]).await;
    let started = std::time::Instant::now();
    assert_eq!(client.frame().await, None);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_byte_now_and_then_is_not_enough() {
    let running = Running::trusting("trickle").await;
    let mut client = running.connect().await;
    client.send(&[0, 0, 1, 0, 0, 3]).await;
    let started = std::time::Instant::now();
    let hung_up = loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Sooner or later the server's end is closed, and then so is ours.
        if client.stream.write_all(&[0]).await.is_err() {
            break true;
        }
        if started.elapsed() > Duration::from_secs(10) {
            break false;
        }
    };
    assert!(hung_up);
}

#[tokio::test]
async fn large_frames_come_in_pieces() {
    let running = Running::trusting("large").await;
    running.make_topic("t").await;
    let mut client = running.connect().await;
    let response = client.ask(&produce("t", Some(batch(1, 9 << 20)), 1), 9).await.unwrap();
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test]
async fn a_large_frame_has_its_time_as_a_whole() {
    let running = Running::trusting("slow").await;
    let mut client = running.connect().await;
    client.send(&[0, 0x20, 0, 0, 0, 0]).await;
    let started = std::time::Instant::now();
    let piece = vec![0; 16 << 10];
    // Ten times as fast as a part of it has to come, and a sixth of what the whole has to.
    while client.stream.write_all(&piece).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(8));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(started.elapsed() > Duration::from_secs(1));
}

#[tokio::test]
async fn what_is_named_often_is_told_once() {
    let running = Running::trusting("often").await;
    running.make_topic("t").await;
    let mut client = running.connect().await;
    let named = metadata_request::MetadataRequestTopic::default().with_name(Some(TopicName(s("t"))));
    let metadata = MetadataRequest::default().with_topics(Some(vec![named; 1_000]));
    assert_eq!(client.ask(&metadata, 9).await.unwrap().topics.len(), 1);
    let groups = DescribeGroupsRequest::default().with_groups(vec![GroupId(s("g")); 1_000]);
    assert_eq!(client.ask(&groups, 5).await.unwrap().groups.len(), 1);
    let consumers = ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(s("g")); 1_000]);
    assert_eq!(client.ask(&consumers, 0).await.unwrap().groups.len(), 1);
    let resource = describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(s("t"))
        .with_configuration_keys(None);
    let configs = DescribeConfigsRequest::default().with_resources(vec![resource; 1_000]);
    assert_eq!(client.ask(&configs, 4).await.unwrap().results.len(), 1);
    let topic = offset_fetch_request::OffsetFetchRequestTopics::default()
        .with_name(TopicName(s("t")))
        .with_partition_indexes(vec![0; 1_000]);
    let group = offset_fetch_request::OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(s("g")))
        .with_topics(Some(vec![topic]));
    let offsets = OffsetFetchRequest::default().with_groups(vec![group; 50]);
    let answer = client.ask(&offsets, 8).await.unwrap();
    assert_eq!(answer.groups.len(), 1);
    assert_eq!(answer.groups[0].topics[0].partitions.len(), 1);
}
