package main

import (
	"context"
	"log"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// run registers the Node and then follows the cluster's pods for ever.
func run(client kubernetes.Interface, node string, port int, pods *podTable) error {
	if err := registerNode(client, node, port); err != nil {
		return err
	}
	settle := func(object any) {
		pod := object.(*corev1.Pod)
		if err := settlePod(client, node, pods, pod); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			log.Printf("pod %s/%s: %v", pod.Namespace, pod.Name, err)
		}
	}
	watch := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, fields.Everything())
	informer := cache.NewSharedInformer(watch, &corev1.Pod{}, 0)
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    settle,
		UpdateFunc: func(_, pod any) { settle(pod) },
		DeleteFunc: func(object any) {
			if pod, ok := object.(*corev1.Pod); ok {
				pods.stop(pod)
			}
		},
	})
	if err != nil {
		return err
	}
	informer.Run(nil)
	return nil
}

// registerNode creates the Node anew: its port differs from that of an earlier run on the same data.
func registerNode(client kubernetes.Interface, name string, port int) error {
	nodes := client.CoreV1().Nodes()
	err := nodes.Delete(context.Background(), name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	_, err = nodes.Create(context.Background(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status: corev1.NodeStatus{
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)}},
			Conditions:      []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}, metav1.CreateOptions{})
	return err
}

// settlePod takes the next step that brings a pod to where it should be; each step causes the event for the next one.
func settlePod(client kubernetes.Interface, node string, pods *podTable, pod *corev1.Pod) error {
	api := client.CoreV1().Pods(pod.Namespace)
	switch {
	case pod.DeletionTimestamp != nil:
		pods.stop(pod)
		now := int64(0)
		return api.Delete(context.Background(), pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	case pod.Spec.NodeName == "":
		return api.Bind(context.Background(), &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: node}}, metav1.CreateOptions{})
	case pod.Spec.NodeName != node:
		return nil
	}
	if err := pods.start(pod); err != nil || pod.Status.Phase == corev1.PodRunning {
		return err
	}
	_, err := api.UpdateStatus(context.Background(), running(pod), metav1.UpdateOptions{})
	return err
}

func running(pod *corev1.Pod) *corev1.Pod {
	pod, now := pod.DeepCopy(), metav1.Now()
	pod.Status.Phase, pod.Status.StartTime, pod.Status.HostIP = corev1.PodRunning, &now, "127.0.0.1"
	for _, kind := range []corev1.PodConditionType{corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue})
	}
	started := true
	for _, container := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, Ready: true, Started: &started,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}})
	}
	return pod
}
